//! What is seen of the mirror, under the names that production's exporters use.

use std::time::Duration;

use super::series::{Kind, Labels, Sample};
use crate::engine::usage::Usage;

/// The job of what is seen of containers.
pub const CADVISOR: &str = "cadvisor";

/// A URL that was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked<'a> {
    /// Which.
    pub url: &'a str,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// So many redirects were followed.
    pub redirects: usize,
}

impl Asked<'_> {
    /// As a blackbox exporter says without further configuration: a status of 2xx is success.
    pub fn is_good(&self) -> bool {
        self.status.is_some_and(|status| (200..300).contains(&status))
    }

    /// As blackbox_exporter's HTTP prober exports it.
    pub fn samples(&self) -> Vec<Sample> {
        let flag = |is: bool| f64::from(u8::from(is));
        let values = [
            ("probe_success", flag(self.is_good())),
            ("probe_duration_seconds", self.took.as_secs_f64()),
            ("probe_http_status_code", f64::from(self.status.unwrap_or(0))),
            ("probe_http_redirects", self.redirects as f64),
            ("probe_http_ssl", flag(self.url.starts_with("https:"))),
            ("probe_failed_due_to_regex", 0.0),
            ("up", 1.0),
        ];
        let target = [("instance", self.url), ("job", "blackbox")];
        let sample = |(name, value)| gauge(Labels::of(name, target), value);
        values.into_iter().map(sample).collect()
    }
}

/// What a container uses, as cAdvisor exports it. Compose's label has the service's name.
pub fn container(service: &str, name: &str, image: &str, usage: &Usage) -> Vec<Sample> {
    let target = [
        ("container_label_com_docker_compose_service", service),
        ("id", "/docker"),
        ("image", image),
        ("instance", "cadvisor:8080"),
        ("job", CADVISOR),
        ("name", name),
    ];
    let whole = |count: Option<u64>| count.map(|count| count as f64);
    let values = [
        (Kind::Counter, "container_cpu_usage_seconds_total", usage.cpu_seconds),
        (Kind::Counter, "container_cpu_cfs_periods_total", whole(usage.periods)),
        (
            Kind::Counter,
            "container_cpu_cfs_throttled_periods_total",
            whole(usage.throttled_periods),
        ),
        (Kind::Gauge, "container_memory_usage_bytes", whole(usage.memory)),
        (
            Kind::Gauge,
            "container_memory_working_set_bytes",
            whole(usage.working_set),
        ),
        (Kind::Gauge, "container_memory_rss", whole(usage.rss)),
        (
            Kind::Gauge,
            "container_spec_memory_limit_bytes",
            whole(usage.memory_limit),
        ),
        (Kind::Counter, "container_memory_failcnt", whole(usage.memory_failures)),
        (
            Kind::Counter,
            "container_network_receive_bytes_total",
            whole(usage.received),
        ),
        (
            Kind::Counter,
            "container_network_transmit_bytes_total",
            whole(usage.sent),
        ),
        (Kind::Gauge, "container_processes", whole(usage.processes)),
    ];
    let samples = values.into_iter().filter_map(|(kind, name, value)| {
        Some(Sample {
            labels: Labels::of(name, target),
            kind,
            value: value?,
        })
    });
    samples.collect()
}

/// What a scrape itself leaves of its target.
pub fn up(job: &str, instance: &str, is_up: bool) -> Sample {
    let labels = Labels::of("up", [("instance", instance), ("job", job)]);
    gauge(labels, f64::from(u8::from(is_up)))
}

fn gauge(labels: Labels, value: f64) -> Sample {
    Sample {
        labels,
        kind: Kind::Gauge,
        value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_told_as_a_blackbox_exporter_tells_it() {
        let asked = |status| Asked {
            url: "https://shop.example/",
            status,
            took: Duration::from_millis(250),
            redirects: 0,
        };
        let value = |status, name: &str| {
            let samples = asked(status).samples();
            let found = samples.iter().find(|sample| sample.labels.name() == name);
            found.map(|sample| (sample.labels.get("instance").to_owned(), sample.value))
        };
        let is = |value: f64| Some(("https://shop.example/".to_owned(), value));
        assert_eq!(value(Some(200), "probe_success"), is(1.0));
        assert_eq!(value(Some(404), "probe_success"), is(0.0));
        assert_eq!(value(None, "probe_success"), is(0.0));
        assert_eq!(value(None, "probe_http_status_code"), is(0.0));
        assert_eq!(value(Some(503), "probe_http_status_code"), is(503.0));
        assert_eq!(value(Some(200), "probe_duration_seconds"), is(0.25));
    }

    #[test]
    fn what_an_engine_does_not_count_is_no_series() {
        let usage = Usage {
            working_set: Some(1 << 20),
            ..Usage::default()
        };
        let samples = container("web", "web", "shop:1", &usage);
        let [only] = &samples[..] else { panic!("{samples:?}") };
        assert_eq!(only.labels.name(), "container_memory_working_set_bytes");
        assert_eq!(only.labels.get("container_label_com_docker_compose_service"), "web");
    }
}
