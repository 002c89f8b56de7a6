//! SSM Automation: starts runbooks in the account and Region of the resource, and looks how they are doing.
mod access;
mod answer;

use crate::{
    act::ports::{Miss, Remediator},
    decide::{
        config,
        remediation::{Said, Seen, Sight},
    },
    values::{action::Later, remediation::Job},
};
use access::Doors;
use answer::{miss, miss_of};
use aws_sdk_ssm::{
    Client,
    operation::{describe_document::DescribeDocumentError, start_automation_execution::StartAutomationExecutionError},
    types::{
        AutomationExecutionFilter, AutomationExecutionFilterKey, AutomationExecutionStatus as Status, CalendarState,
        StopType, Tag,
    },
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use tokio::time::Instant;

/// SSM takes one start a second in an account and Region.
const START_EVERY: Duration = Duration::from_millis(1_050);
/// Looks share three calls a second.
const LOOK_EVERY: Duration = Duration::from_millis(350);
/// Whoever would have to wait longer for their turn comes again later.
const PATIENCE: Duration = Duration::from_secs(5);
/// Pages that are looked through for one execution.
const PAGES_MAX: usize = 20;
/// What a failed step says is cut here.
const TEXT_MAX: usize = 400;

/// SSM, in every account that the router may enter.
#[derive(Debug)]
pub struct Automation {
    doors: Doors,
    turns: Mutex<BTreeMap<(String, String, &'static str), Instant>>,
}

impl Automation {
    /// SSM, not called yet.
    pub fn new(
        config: aws_config::SdkConfig,
        access: &config::Access,
        external_id: Option<secrecy::SecretString>,
    ) -> Self {
        Self { doors: Doors::new(config, access, external_id), turns: Mutex::default() }
    }

    /// Waits for its turn; the quotas are per account and Region.
    async fn turn(&self, job: &Job, kind: &'static str, every: Duration) -> Result<(), Miss> {
        let at = {
            let mut turns = self.turns.lock().unwrap_or_else(PoisonError::into_inner);
            let now = Instant::now();
            turns.retain(|_, next| *next > now);
            let next = turns.entry((job.account.clone(), job.region.clone(), kind)).or_insert(now);
            let at = *next;
            if at.duration_since(now) > PATIENCE {
                let after = SignedDuration::try_from(at.duration_since(now)).unwrap_or(SignedDuration::ZERO);
                let why = format!("SSM takes one {kind} every {} ms", every.as_millis());
                return Err(Miss::Later(Later { after, why, unsure: false }));
            }
            *next = at + every;
            at
        };
        tokio::time::sleep_until(at).await;
        Ok(())
    }

    async fn client(&self, job: &Job) -> Result<Client, Miss> {
        self.doors.open(&job.account, &job.region).await
    }

    /// What is known of a document where it would run: the names of its parameters; none where there is no such document.
    pub async fn describe(&self, job: &Job) -> Result<Option<Vec<String>>, String> {
        let client = self.client(job).await.map_err(|m| why(&m))?;
        match Box::pin(client.describe_document().name(&job.runbook).send()).await {
            Ok(found) => {
                let parameters = found.document.and_then(|d| d.parameters).unwrap_or_default();
                Ok(Some(parameters.into_iter().filter_map(|p| p.name).collect()))
            }
            Err(error) if error.as_service_error().is_some_and(DescribeDocumentError::is_invalid_document) => Ok(None),
            Err(error) => Err(why(&miss("DescribeDocument", job, &error))),
        }
    }
}

/// In words.
pub fn why(miss: &Miss) -> String {
    match miss {
        Miss::Later(Later { why, .. }) | Miss::Failed(why) => why.clone(),
    }
}

/// The tag that an execution is found by: its key, because SSM filters by keys.
fn tag(client_token: &str) -> String {
    format!("findings-router:{client_token}")
}

impl Remediator for Automation {
    async fn start(&self, job: &Job, client_token: &str, problem: &str) -> Result<Option<String>, Miss> {
        self.turn(job, "start", START_EVERY).await?;
        let client = self.client(job).await?;
        let tag = |key: String, value: &str| Tag::builder().key(key).value(value).build();
        let tags = [tag(self::tag(client_token), "start"), tag("findings-router:problem".to_owned(), problem)];
        let tags = tags.into_iter().collect::<Result<Vec<_>, _>>().map_err(|e| Miss::Failed(e.to_string()))?;
        let parameters = (!job.parameters.is_empty()).then(|| job.parameters.clone().into_iter().collect());
        let request = client
            .start_automation_execution()
            .document_name(&job.runbook)
            .client_token(client_token)
            .set_parameters(parameters)
            .set_tags(Some(tags));
        match Box::pin(request.send()).await {
            Ok(started) => Ok(started.automation_execution_id),
            // The token is taken, by other parameters: it was started before, and is not started again.
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(StartAutomationExecutionError::is_idempotent_parameter_mismatch) =>
            {
                tracing::warn!(
                    runbook = job.runbook,
                    client_token,
                    "SSM had started this before, with other parameters"
                );
                Ok(self.find(job, client_token).await.unwrap_or_default())
            }
            Err(error) => Err(miss("StartAutomationExecution", job, &error)),
        }
    }

    async fn find(&self, job: &Job, client_token: &str) -> Result<Option<String>, Miss> {
        self.turn(job, "look", LOOK_EVERY).await?;
        let client = self.client(job).await?;
        let filter = AutomationExecutionFilter::builder()
            .key(AutomationExecutionFilterKey::TagKey)
            .values(tag(client_token))
            .build()
            .map_err(|e| Miss::Failed(e.to_string()))?;
        let mut next = None;
        // (A page that a filter has emptied may be followed by others.)
        for _ in 0..PAGES_MAX {
            let asked = client.describe_automation_executions().filters(filter.clone()).set_next_token(next);
            let found = Box::pin(asked.send()).await;
            let found = found.map_err(|error| miss("DescribeAutomationExecutions", job, &error))?;
            let first = found.automation_execution_metadata_list.unwrap_or_default().into_iter().next();
            next = found.next_token.filter(|t| !t.is_empty());
            if first.is_some() || next.is_none() {
                return Ok(first.and_then(|e| e.automation_execution_id));
            }
        }
        Err(miss_of("DescribeAutomationExecutions", "it has too many pages to look through"))
    }

    /// What an event says is only the occasion: SSM itself is asked.
    async fn look(&self, job: &Job, execution: &str, _: Option<&Said>) -> Result<Sight, Miss> {
        self.turn(job, "look", LOOK_EVERY).await?;
        let client = self.client(job).await?;
        let found = Box::pin(client.get_automation_execution().automation_execution_id(execution).send()).await;
        let found = found.map_err(|error| miss("GetAutomationExecution", job, &error))?;
        let Some(found) = found.automation_execution else {
            return Err(miss_of("GetAutomationExecution", "SSM's answer holds no execution"));
        };
        let status = found.automation_execution_status.unwrap_or(Status::Pending);
        let state = Seen::of(status.as_str());
        let steps = found.step_executions.unwrap_or_default();
        let at =
            |wanted: &[Status]| steps.iter().rev().find(|s| s.step_status.as_ref().is_some_and(|s| wanted.contains(s)));
        let step = match state {
            Seen::Failure => at(&[Status::Failed, Status::Timedout, Status::Cancelled, Status::Rejected]),
            _ => at(&[Status::Inprogress, Status::PendingApproval, Status::Waiting, Status::Pending]),
        };
        let details = step.and_then(|s| s.failure_message.clone());
        let failure = details.or(found.failure_message).map(|f| crate::values::text::cut(&f, TEXT_MAX).to_owned());
        Ok(Sight {
            status: status.as_str().to_owned(),
            state,
            step: step.and_then(|s| s.step_name.clone()),
            failure,
            outputs: found.outputs.unwrap_or_default().into_iter().collect(),
        })
    }

    async fn stop(&self, job: &Job, execution: &str) -> Result<(), Miss> {
        let client = self.client(job).await?;
        let stop = client.stop_automation_execution().automation_execution_id(execution).r#type(StopType::Cancel);
        Box::pin(stop.send()).await.map(drop).map_err(|error| miss("StopAutomationExecution", job, &error))
    }

    async fn calendars(&self, job: &Job, names: &[String], now: Timestamp) -> Result<(), String> {
        let client = self.client(job).await.map_err(|m| why(&m))?;
        let asked =
            client.get_calendar_state().set_calendar_names(Some(names.to_vec())).at_time(now.to_string()).send();
        match Box::pin(asked).await {
            Ok(answer) if answer.state == Some(CalendarState::Open) => Ok(()),
            Ok(answer) => {
                let until = answer.next_transition_time.map(|t| format!(" until {t}")).unwrap_or_default();
                Err(format!("the change calendar is closed{until} ({})", names.join(", ")))
            }
            Err(error) => {
                Err(format!("the change calendar cannot be read: {}", why(&miss("GetCalendarState", job, &error))))
            }
        }
    }
}
