//! A production to take a lock of: containers, labelled as Compose labels them.

use std::process::Command;

use crate::driver::{Ended, end};

/// Containers that look as if Compose had started them; removed at the end of the test, whatever comes of it.
pub struct Production {
    pub project: String,
    containers: Vec<String>,
}

impl Production {
    pub fn of(name: &str) -> Self {
        Self {
            project: format!("lock-test-{name}-{}", std::process::id()),
            containers: Vec::new(),
        }
    }

    pub fn start(&mut self, service: &str, image: &str) {
        let name = self.name(service);
        let labels = [
            format!("com.docker.compose.project={}", self.project),
            format!("com.docker.compose.service={service}"),
        ];
        let words = [
            "run",
            "--detach",
            "--name",
            &name,
            "--label",
            &labels[0],
            "--label",
            &labels[1],
            "--entrypoint",
            "sleep",
            image,
            "300",
        ];
        self.containers.push(name.clone());
        assert_eq!(docker(&words).code, Some(0), "{image}");
    }

    pub fn stop(&mut self, service: &str) {
        let name = self.name(service);
        assert_eq!(docker(&["rm", "--force", "--volumes", &name]).code, Some(0));
        self.containers.retain(|container| *container != name);
    }

    pub fn name(&self, service: &str) -> String {
        format!("{}-{service}-1", self.project)
    }
}

impl Drop for Production {
    fn drop(&mut self) {
        for container in &self.containers {
            docker(&["rm", "--force", "--volumes", container]);
        }
    }
}

pub fn docker(words: &[&str]) -> Ended {
    let mut command = Command::new("docker");
    command.args(words);
    end(command)
}
