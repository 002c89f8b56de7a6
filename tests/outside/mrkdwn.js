// Is what an attacker writes only text on the card? The oracle is a parser of Slack's markup that is not ours.
// usage: node mrkdwn.js <the findings-router binary> <the repository>     (slack-message-parser on NODE_PATH)
"use strict";
const { spawnSync } = require("node:child_process");
const { readFileSync } = require("node:fs");
const { join } = require("node:path");
const { parse, NodeType } = require("slack-message-parser");

const [binary, repository] = process.argv.slice(2);

// Links may go to AWS's console and to Slack, and nowhere else.
const LINK = /^https:\/\/([a-z0-9-]+\.)?(console\.aws\.amazon\.com|console\.amazonaws-us-gov\.com|console\.amazonaws\.cn|slack\.com)\//;

const HOSTILE = [
  "<!channel>", "<!here|here>", "<!everyone>", "<@U0EVIL000>", "<#C0EVIL000|general>", "<!subteam^S0EVIL00|@admins>",
  "<!date^1392734382^{date}^https://evil.example|soon>", "<https://evil.example|AWS console>", "<https://evil.example>",
  "https://evil.example/?a=b&c=d", "http://evil.example", "mailto:a@evil.example", "<mailto:a@evil.example|write>", "evil.example",
  "&lt;!channel&gt;", "&amp;lt;!channel&amp;gt;", "a & b < c > d", ">quoted", ">>>quoted", "line\n>quoted", "*bold*", "_italic_",
  "~struck~", "`code`", "```block```", "`", "``", "a`b`c", "*a* _b_ ~c~ `d`", "*`_~mixed~_`*", "*", "_", "~", ":rotating_light:",
  ":+1::skin-tone-2:", "\\<!channel\\>", "\"},{\"type\":\"divider\"}", "{{ 7 * 7 }}", "{% raw %}", "|", "a|b>c", "x<!channel", "!channel>",
  "\u202e<!channel>", "<\u200b!channel>", "<!\u0000channel>", "＜!channel＞", "<!channel>".repeat(200), "`".repeat(500), "&".repeat(400),
  "\r\n*x*\r\n`y`", "\u2028*x*", "i-0123456789abcdef0`*", "<", ">", "&", "&#60;!channel&#62;",
];

// Where an event has text: a fixture, and places in it that are filled all at once, so that few cards try many places.
const PLACES = [
  ["guardduty-crypto-mining/01-first-seen.json", [
    ["detail", "title"], ["detail", "description"], ["detail", "accountId"], ["detail", "region"],
    ["detail", "resource", "instanceDetails", "instanceId"], ["detail", "resource", "instanceDetails", "tags", 0, "value"]]],
  ["guardduty-unknown-type/01-unknown-family.json", [["detail", "title"], ["detail", "description"], ["detail", "type"]]],
  ["cloudtrail-trail-stopped/04-stopped-by-a-person.json", [
    ["detail", "userIdentity", "arn"], ["detail", "userIdentity", "principalId"], ["detail", "sourceIPAddress"], ["detail", "userAgent"],
    ["detail", "requestParameters", "name"], ["detail", "awsRegion"], ["detail", "recipientAccountId"]]],
  ["config-other/05-custom-rule.json", [["detail", "configRuleName"], ["detail", "resourceId"], ["detail", "newEvaluationResult", "annotation"]]],
  ["securityhub-many/02-chosen-by-hand.json", [
    ["detail", "findings", 0, "Title"], ["detail", "findings", 0, "Description"], ["detail", "findings", 0, "Resources", 0, "Id"],
    ["detail", "findings", 0, "Types", 0], ["detail", "findings", 0, "GeneratorId"]]],
];

let passed = 0;
const failures = [];

/** The messages that a replay of these events would send. */
function messages(args, input) {
  const run = spawnSync(binary, ["replay", "--format", "slack", ...args], { cwd: repository, input, encoding: "utf8", maxBuffer: 1 << 28, env: {} });
  if (run.error || run.status === null || run.status > 1) throw new Error(`replay failed: ${run.error || run.stderr}`);
  return run.stdout.trim().split("\n").filter(Boolean).map((line) => JSON.parse(line));
}

/** Every text with markup in a message, with its place. */
function* texts(value, path) {
  if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* texts(item, `${path}[${i}]`);
  } else if (value && typeof value === "object") {
    if (value.type === "mrkdwn") yield [path, value.text];
    for (const [key, inner] of Object.entries(value)) yield* texts(inner, `${path}.${key}`);
  }
}

/** What the text asks Slack to do, as a list of words; throws at what no template of ours asks for. */
function shape(text) {
  const found = [];
  const visit = (node) => {
    switch (node.type) {
      case NodeType.Text: return;
      case NodeType.URL:
        if (!LINK.test(node.url.replace(/&amp;/g, "&"))) throw new Error(`a link to ${node.url}`);
        found.push("link");
        break;
      case NodeType.Command:
        if (node.name !== "date") throw new Error(`the command ${node.name}`);
        found.push("date");
        return; // its label is the fallback that our filter made
      case NodeType.Code: found.push("code"); return;
      case NodeType.Bold: found.push("bold"); break;
      case NodeType.Italic: found.push("italic"); break;
      case NodeType.Strike: found.push("strike"); break; // a resolved title
      case NodeType.Emoji:
        // The oracle takes anything between two colons; Slack has no emoji of such a name, nor of the minutes of a time.
        if (/[^a-z0-9_+'-]/.test(node.name) || /^[0-9]{2}$/.test(node.name)) return;
        throw new Error(`the emoji ${node.name}`);
      case NodeType.Root: break;
      default: throw new Error(`a node of type ${NodeType[node.type] || node.type}: ${node.source}`);
    }
    for (const child of node.children || node.label || []) visit(child);
  };
  visit(parse(text));
  return found;
}

/** All shapes of a message; the plain text at the top asks for nothing. */
function shapes(message) {
  const plain = shape(message.text);
  if (plain.length > 0) throw new Error(`text: it has ${plain}: ${message.text}`);
  return [...texts(message.blocks, "blocks")].map(([path, text]) => {
    try {
      return `${path}: ${shape(text).join(" ")}`;
    } catch (error) {
      throw new Error(`${path}: ${error.message}: ${text}`);
    }
  });
}

function check(name, test) {
  try {
    test();
    passed += 1;
  } catch (error) {
    failures.push(`${name}: ${error.message}`);
  }
}

// 1. The stories: only links, dates, code and bold that a template makes.
for (const locale of ["en", "ja"]) {
  for (const [i, message] of messages(["--locale", locale, "fixtures"]).entries()) check(`fixtures, ${locale}, message ${i + 1}`, () => shapes(message));
}

// 2. Hostile words in every place: the card has the very shape that it has with harmless words there.
for (const [fixture, places] of PLACES) {
  const original = JSON.parse(readFileSync(join(repository, "fixtures", fixture), "utf8"));
  const cards = (word) => {
    const event = structuredClone(original);
    for (const place of places) {
      const holder = place.slice(0, -1).reduce((value, key) => value[key], event);
      holder[place.at(-1)] = word;
    }
    // A link that would lead astray is left out, so there may be fewer of them.
    return messages(["-"], JSON.stringify(event)).map(shapes).join("\n").replaceAll(" link", "");
  };
  const harmless = cards("harmless");
  for (const word of HOSTILE) {
    check(`${JSON.stringify(word.slice(0, 40))} in ${fixture}`, () => {
      const got = cards(word);
      if (got === "" || got !== harmless) throw new Error(`the card has another shape:\n  ${got}\n  instead of\n  ${harmless}`);
    });
  }
}

// 3. The oracle is awake.
for (const word of ["<!channel>", "<@U0EVIL000>", "<https://evil.example|AWS>", "<#C1|x>", ":rotating_light:", "```x```"]) {
  check(`the oracle sees ${word}`, () => {
    let seen = false;
    try { shape(word); } catch { seen = true; }
    if (!seen) throw new Error("it does not");
  });
}

for (const failure of failures.slice(0, 40)) console.error(failure);
console.log(`mrkdwn: ${passed} passed, ${failures.length} failed`);
process.exit(failures.length === 0 ? 0 : 1);
