//! The plan as a tree, for people.

use std::fmt::Write as _;

use super::model::{CheckPlan, Plan, StagePlan};

impl Plan {
    /// As a tree, for people.
    pub fn to_text(&self) -> String {
        let mut text = format!("plan  seed {}  {}\n", self.seed, self.config);
        if let Some(production) = &self.production {
            let _written = writeln!(text, "  {}", production.statement);
        }
        if let Some(shard) = &self.shard {
            let (place, parts) = (shard.place, shard.parts.join(", "));
            let _written = writeln!(text, "  {place}: {parts}");
        }
        let rows = [
            ("candidate", &self.candidate),
            ("baseline", &self.baseline),
            ("mirror", &self.mirror),
        ];
        for (role, releases) in rows {
            for release in releases.iter() {
                let digest = release.digest.as_deref().unwrap_or("digest not known yet");
                // Writing to a String cannot fail.
                let _written = writeln!(text, "  {role:<9}  {}  {}  {digest}", release.service, release.image);
            }
        }
        for change in &self.changes {
            let _written = writeln!(text, "  change     {}  {change}", change.service);
        }
        for image in &self.images {
            image.write(&mut text);
        }
        for stage in &self.stages {
            stage.write(&mut text);
        }
        for note in &self.notes {
            let _written = writeln!(text, "  note: {note}");
        }
        text
    }
}

impl StagePlan {
    fn write(&self, text: &mut String) {
        let _written = match &self.skipped {
            Some(reason) => writeln!(text, "  {} (skipped: {reason})", self.id),
            None => writeln!(text, "  {}", self.id),
        };
        for step in &self.steps {
            let what = if step.what.is_empty() {
                String::new()
            } else {
                format!("  {}", step.what)
            };
            let _written = writeln!(text, "  ├─ {}{what}", step.id);
        }
        let check = |check: &CheckPlan| match &check.skipped {
            Some(reason) => format!("{} (skipped: {reason})", check.id),
            None => check.id.to_string(),
        };
        let checks: Vec<String> = self.checks.iter().map(check).collect();
        let _written = writeln!(text, "  └─ checks: {}", checks.join(", "));
    }
}
