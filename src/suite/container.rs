//! Test containers: run to their end beside the services; what they say is read from their JUnit files, else from
//! their exit code.

use super::junit;
use super::limits::CONTAINER_LIMIT;
use super::runner::{Runner, not_run};
use super::template::Missing;
use super::test_bed::TestBed;
use super::words::{self, IN_MESSAGE, quoted};
use crate::config::settings::TestContainer;
use crate::mirror::run_container::{ContainerOutcome, ContainerRun};
use crate::record::status::Status;
use crate::record::test::{Reply, TestRecord};
use crate::text::units::millis;

/// Runs the suite's container and records its tests.
pub(super) async fn run<B: TestBed>(runner: &mut Runner<'_, B>, container: &TestContainer) {
    let record = runner.record(&name_of(container), Some(&container.span));
    let run = match prepared(runner, container) {
        Ok(run) => run,
        Err(Missing(name)) => return runner.tests.push(not_run(record, &name)),
    };
    let tests = match runner.bed.run_container(&run).await {
        Ok(outcome) => tests(&record, container, &outcome),
        Err(error) => {
            let why = format!("{error:#}");
            let message = format!("the test container could not be run: {}", words::first_line(&why));
            vec![TestRecord {
                status: Status::Error,
                message,
                detail: words::beginning(&why),
                ..record
            }]
        }
    };
    runner.tests.extend(tests);
}

/// The image without registry, folder and tag: `acme/e2e:1` is `e2e`.
fn name_of(container: &TestContainer) -> String {
    let image = container.image.split('@').next().unwrap_or_default();
    let last = image.rsplit('/').next().unwrap_or_default();
    last.split(':').next().unwrap_or_default().to_owned()
}

fn prepared<B: TestBed>(runner: &Runner<'_, B>, container: &TestContainer) -> Result<ContainerRun, Missing> {
    let scope = runner.scope();
    let words = |words: &Option<Vec<String>>| {
        words
            .as_ref()
            .map(|words| words.iter().map(|word| scope.text(word)).collect())
            .transpose()
    };
    let env = container
        .env
        .iter()
        .map(|(name, value)| Ok((name.clone(), scope.text(value)?)));
    Ok(ContainerRun {
        image: container.image.clone(),
        entrypoint: words(&container.entrypoint)?,
        command: words(&container.command)?,
        env: env.collect::<Result<_, _>>()?,
        files: Vec::new(),
        directories: container.junit.as_deref().and_then(folder_of).into_iter().collect(),
        collect: container.junit.clone(),
        limit: CONTAINER_LIMIT,
    })
}

/// The folder of a glob, up to its first wildcard: made for the tests to write into.
fn folder_of(glob: &str) -> Option<String> {
    let fixed = &glob[..glob.find(['*', '?', '[', '{']).unwrap_or(glob.len())];
    let (folder, _) = fixed.rsplit_once('/')?;
    (!folder.is_empty()).then(|| folder.to_owned())
}

fn tests(record: &TestRecord, container: &TestContainer, outcome: &ContainerOutcome) -> Vec<TestRecord> {
    let Some(glob) = &container.junit else {
        return vec![by_exit(record.clone(), outcome)];
    };
    let mut tests: Vec<_> = outcome
        .files
        .iter()
        .flat_map(|(path, bytes)| by_file(record, path, bytes))
        .collect();
    let end = by_exit(record.clone(), outcome);
    if tests.is_empty() {
        let message = format!(
            "no test case came back from {}; {}",
            quoted(glob, IN_MESSAGE),
            ended(outcome)
        );
        tests.push(TestRecord {
            status: Status::Error,
            message,
            ..end
        });
    } else if end.status != Status::Passed && !tests.iter().any(|test| test.status == Status::Failed) {
        // Its files say that all is well and its exit code says that it is not: the exit code stands.
        tests.push(end);
    } else if outcome.exit.is_none() {
        tests.push(end);
    }
    tests
}

pub(super) fn by_file(record: &TestRecord, path: &str, bytes: &[u8]) -> Vec<TestRecord> {
    let report = junit::read(bytes);
    let mut tests: Vec<_> = report.cases.into_iter().map(|case| by_case(record, case)).collect();
    if let Some(problem) = report.problem {
        let message = format!(
            "the JUnit file {} cannot be relied on: {problem}",
            quoted(path, IN_MESSAGE)
        );
        tests.push(TestRecord {
            status: Status::Error,
            name: words::name(path),
            message,
            ..record.clone()
        });
    }
    tests
}

fn by_case(record: &TestRecord, case: junit::JunitCase) -> TestRecord {
    TestRecord {
        name: case.name,
        status: case.status,
        duration_ms: millis(case.duration),
        message: case.message,
        detail: case.detail,
        retries: case.retries,
        ..record.clone()
    }
}

fn by_exit(record: TestRecord, outcome: &ContainerOutcome) -> TestRecord {
    let duration_ms = millis(outcome.duration);
    let reply = outcome.exit.map_or(Reply::Nothing, Reply::Exit);
    if outcome.exit == Some(0) {
        return TestRecord {
            duration_ms,
            reply,
            ..record
        };
    }
    let output = String::from_utf8_lossy(&outcome.output);
    let last = output
        .lines()
        .rev()
        .map(str::trim)
        .find(|line| !line.is_empty())
        .unwrap_or_default();
    let message = match words::first_line(last) {
        last if last.is_empty() => ended(outcome),
        last => format!("{}; last line: {last}", ended(outcome)),
    };
    TestRecord {
        status: Status::Failed,
        duration_ms,
        message,
        detail: words::ending(&output),
        reply,
        ..record
    }
}

fn ended(outcome: &ContainerOutcome) -> String {
    match outcome.exit {
        Some(exit) => format!("the test container ended with exit code {exit}"),
        None => format!("the test container was killed after {} s", outcome.duration.as_secs()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::tests::{a_span, record};

    fn container(junit: Option<&str>) -> TestContainer {
        TestContainer {
            image: "localhost:5000/acme/e2e:1".to_owned(),
            command: None,
            entrypoint: None,
            env: Default::default(),
            junit: junit.map(str::to_owned),
            span: a_span(),
        }
    }

    fn outcome(exit: Option<i64>, files: &[&str]) -> ContainerOutcome {
        let files = files
            .iter()
            .map(|text| ("/out/a.xml".to_owned(), text.as_bytes().to_vec()))
            .collect();
        ContainerOutcome {
            exit,
            output: b"one\nlast words\n".to_vec(),
            files,
            ..ContainerOutcome::default()
        }
    }

    fn statuses(junit: Option<&str>, outcome: &ContainerOutcome) -> Vec<Status> {
        tests(&record("e2e"), &container(junit), outcome)
            .iter()
            .map(|test| test.status)
            .collect()
    }

    const GOOD: &str = "<testsuite><testcase name='a'/></testsuite>";
    const BAD: &str = "<testsuite><testcase name='a'><failure/></testcase></testsuite>";

    #[test]
    fn without_junit_the_exit_code_is_one_test() {
        assert_eq!(name_of(&container(None)), "e2e");
        assert_eq!(statuses(None, &outcome(Some(0), &[])), [Status::Passed]);
        let failed = &tests(&record("e2e"), &container(None), &outcome(Some(3), &[]))[0];
        assert_eq!(
            failed.message,
            "the test container ended with exit code 3; last line: last words"
        );
    }

    #[test]
    fn what_came_back_of_a_container_is_its_exit_code_and_of_a_case_is_not_known() {
        let replies = |junit, outcome: &ContainerOutcome| -> Vec<Reply> {
            let tests = tests(&record("e2e"), &container(junit), outcome);
            tests.iter().map(|test| test.reply).collect()
        };
        assert_eq!(replies(None, &outcome(Some(0), &[])), [Reply::Exit(0)]);
        assert_eq!(replies(None, &outcome(Some(127), &[])), [Reply::Exit(127)]);
        assert_eq!(replies(None, &outcome(None, &[])), [Reply::Nothing]);
        assert_eq!(replies(Some("/out/*.xml"), &outcome(Some(1), &[BAD])), [Reply::Unknown]);
    }

    #[test]
    fn junit_that_did_not_come_back_is_an_error_and_never_silence() {
        let glob = Some("/out/*.xml");
        assert_eq!(statuses(glob, &outcome(Some(0), &[])), [Status::Error]);
        assert_eq!(statuses(glob, &outcome(Some(0), &["<testsuite/>"])), [Status::Error]);
        assert_eq!(statuses(glob, &outcome(Some(0), &["<oops"])), [Status::Error]);
    }

    #[test]
    fn a_bad_exit_with_good_cases_is_a_failure() {
        let glob = Some("/out/*.xml");
        assert_eq!(statuses(glob, &outcome(Some(0), &[GOOD])), [Status::Passed]);
        assert_eq!(
            statuses(glob, &outcome(Some(1), &[GOOD])),
            [Status::Passed, Status::Failed]
        );
        assert_eq!(statuses(glob, &outcome(Some(1), &[BAD])), [Status::Failed]);
        assert_eq!(statuses(glob, &outcome(None, &[BAD])), [Status::Failed, Status::Failed]);
    }

    #[test]
    fn the_folder_of_a_glob_is_made() {
        assert_eq!(folder_of("/out/*.xml").as_deref(), Some("/out"));
        assert_eq!(folder_of("/out/**/r.xml").as_deref(), Some("/out"));
        assert_eq!(folder_of("/a/b/r.xml").as_deref(), Some("/a/b"));
        assert_eq!(folder_of("/*.xml"), None);
    }
}
