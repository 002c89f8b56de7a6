// Judges requests as IAM does: a JSON array of simulations in, for each what comes of it and the ids of the statements that allowed it.
const { anonymousPrincipal, runSimulation } = require("@cloud-copilot/iam-simulate");
const { readFileSync } = require("node:fs");

// access.py gives each statement a Sid of its own.
const ids = (analysis) => (analysis?.allowStatements ?? []).map((one) => one.statement.sid());

async function judge(simulation) {
  if (simulation.request.principal === "*") simulation.request.principal = anonymousPrincipal;
  const answer = await runSimulation(simulation, {});
  if (answer.resultType !== "single") return { wrong: answer.errors?.message ?? answer.resultType };
  const { analysis, ignoredContextKeys } = answer.result;
  if (ignoredContextKeys?.length) return { wrong: `the action does not know ${ignoredContextKeys.join(", ")}` };
  const parts = [analysis.identityAnalysis, analysis.permissionBoundaryAnalysis, analysis.resourceAnalysis];
  return { result: answer.overallResult, allowed: parts.flatMap(ids), blocked: analysis.blockedBy };
}

(async () => {
  const answers = [];
  for (const simulation of JSON.parse(readFileSync(0, "utf8"))) answers.push(await judge(simulation));
  process.stdout.write(JSON.stringify(answers));
})();
