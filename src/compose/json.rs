//! The canonical form of a project: what `docker compose config --format json` prints.
//!
//! As there, a `$` is printed as `$$`, so that what is printed can be read again.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use crate::compose::model::*;
use crate::compose::scalar::go_duration;

impl Project {
    /// The project as `docker compose config --format json` prints it. Values are as read: secrets of the environment
    /// are in it.
    pub fn canonical_json(&self) -> Value {
        let mut object = Object::default();
        object.put("name", json!(self.name));
        object.filled("networks", members(&self.networks, network));
        object.put("services", members(&self.services, service));
        object.filled("volumes", members(&self.volumes, volume));
        object.filled("secrets", members(&self.secrets, file_object));
        object.filled("configs", members(&self.configs, file_object));
        for (key, value) in &self.extensions {
            object.put(key, value.clone());
        }
        escaped(object.into())
    }
}

/// `$` is the beginning of a variable in a compose file; `$$` is a `$`.
fn escaped(value: Value) -> Value {
    match value {
        Value::String(text) => Value::String(text.replace('$', "$$")),
        Value::Array(items) => items.into_iter().map(escaped).collect(),
        Value::Object(map) => Value::Object(
            map.into_iter()
                .map(|(key, value)| (key.replace('$', "$$"), escaped(value)))
                .collect(),
        ),
        other => other,
    }
}

/// A JSON object that leaves out what says nothing.
#[derive(Default)]
struct Object(Map<String, Value>);

impl Object {
    fn put(&mut self, key: &str, value: Value) {
        self.0.insert(key.to_owned(), value);
    }

    /// Only a value that is neither null nor empty.
    fn filled(&mut self, key: &str, value: impl Into<Value>) {
        let value = value.into();
        let empty = match &value {
            Value::Null => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty(),
            _ => false,
        };
        if !empty {
            self.put(key, value);
        }
    }

    fn text(&mut self, key: &str, text: &Option<String>) {
        self.filled(key, text.clone());
    }

    /// Only `true` is printed.
    fn flag(&mut self, key: &str, flag: bool) {
        if flag {
            self.put(key, Value::Bool(true));
        }
    }

    /// Only numbers other than zero are printed.
    fn number(&mut self, key: &str, number: Option<i64>) {
        if let Some(number) = number.filter(|number| *number != 0) {
            self.put(key, json!(number));
        }
    }

    fn float(&mut self, key: &str, number: Option<f64>) {
        if let Some(number) = number.filter(|number| *number != 0.0) {
            self.put(key, float(number));
        }
    }

    /// Sizes are printed as text.
    fn bytes(&mut self, key: &str, bytes: Option<i64>) {
        if let Some(bytes) = bytes.filter(|bytes| *bytes != 0) {
            self.put(key, json!(bytes.to_string()));
        }
    }

    fn duration(&mut self, key: &str, duration: Option<Duration>) {
        self.filled(key, duration.map(go_duration));
    }
}

impl From<Object> for Value {
    fn from(object: Object) -> Self {
        Value::Object(object.0)
    }
}

/// A whole number is printed without a fraction.
fn float(number: f64) -> Value {
    if number.fract() == 0.0 && number.abs() < 1e15 {
        json!(number as i64)
    } else {
        json!(number)
    }
}

fn members<T>(map: &BTreeMap<String, T>, print: impl Fn(&T) -> Value) -> Value {
    Value::Object(map.iter().map(|(key, value)| (key.clone(), print(value))).collect())
}

fn all<T>(list: &[T], print: impl Fn(&T) -> Value) -> Value {
    list.iter().map(print).collect()
}

fn service(service: &Service) -> Value {
    let mut object = Object::default();
    object.filled("profiles", json!(service.profiles));
    object.filled("annotations", json!(service.annotations));
    object.filled("attach", service.attach);
    object.filled("build", service.build.as_ref().map(build));
    if let Some(watches) = &service.develop {
        let mut develop = Object::default();
        develop.filled("watch", all(watches, watch));
        object.put("develop", develop.into());
    }
    if let Some(settings) = &service.blkio {
        object.put("blkio_config", blkio(settings));
    }
    object.put("command", json!(service.command));
    object.put("entrypoint", json!(service.entrypoint));
    identity(service, &mut object);
    lifecycle(service, &mut object);
    network_side(service, &mut object);
    storage_side(service, &mut object);
    security_side(service, &mut object);
    limits(&service.limits, &mut object);
    object.into()
}

fn identity(service: &Service, object: &mut Object) {
    object.text("container_name", &service.container_name);
    object.text("image", &service.image);
    object.text("platform", &service.platform);
    object.text("pull_policy", &service.pull_policy);
    object.filled("environment", json!(service.environment));
    object.filled("labels", json!(service.labels));
    object.text("user", &service.user);
    object.filled("group_add", json!(service.group_add));
    object.text("working_dir", &service.working_dir);
    object.text("runtime", &service.runtime);
    object.text("isolation", &service.isolation);
    object.flag("stdin_open", service.stdin_open);
    object.flag("tty", service.tty);
    object.filled("init", service.init);
    if let Some(settings) = &service.logging {
        object.put("logging", logging(settings));
    }
    if let Some(described) = &service.provider {
        object.put("provider", provider(described));
    }
    object.filled("models", members(&service.models, model_binding));
}

fn lifecycle(service: &Service, object: &mut Object) {
    object.filled("restart", service.restart.map(|restart| restart.to_string()));
    object.text("stop_signal", &service.stop_signal);
    object.duration("stop_grace_period", service.stop_grace_period);
    object.filled("depends_on", members(&service.depends_on, dependency));
    if let Some(check) = &service.healthcheck {
        object.put("healthcheck", healthcheck(check));
    }
    object.filled("post_start", all(&service.post_start, hook));
    object.filled("pre_stop", all(&service.pre_stop, hook));
    object.filled("scale", service.scale);
    object.filled("deploy", service.deploy.as_ref().map(deploy));
}

fn network_side(service: &Service, object: &mut Object) {
    object.text("hostname", &service.hostname);
    object.text("domainname", &service.domainname);
    object.text("mac_address", &service.mac_address);
    object.filled("network_mode", service.network_mode.as_ref().map(ToString::to_string));
    object.filled("networks", members(&service.networks, attachment));
    object.filled("ports", all(&service.ports, port));
    object.filled("expose", json!(service.expose));
    object.filled("links", json!(service.links));
    object.filled("external_links", json!(service.external_links));
    object.filled("extra_hosts", hosts(&service.extra_hosts));
    object.filled("dns", json!(service.dns));
    object.filled("dns_opt", json!(service.dns_opt));
    object.filled("dns_search", json!(service.dns_search));
}

fn storage_side(service: &Service, object: &mut Object) {
    object.filled("volumes", all(&service.mounts, mount));
    object.filled(
        "volumes_from",
        all(&service.volumes_from, |from| json!(from.to_string())),
    );
    object.filled("tmpfs", json!(service.tmpfs));
    object.filled("secrets", all(&service.secrets, file_mount));
    object.filled("configs", all(&service.configs, file_mount));
    object.flag("read_only", service.read_only);
    object.bytes("shm_size", service.shm_size);
    object.filled("storage_opt", json!(service.storage_opt));
}

fn security_side(service: &Service, object: &mut Object) {
    object.flag("privileged", service.privileged);
    object.flag("use_api_socket", service.use_api_socket);
    object.filled("cap_add", json!(service.cap_add));
    object.filled("cap_drop", json!(service.cap_drop));
    object.filled("security_opt", json!(service.security_opt));
    object.filled("sysctls", json!(service.sysctls));
    object.filled("ulimits", members(&service.ulimits, |limit| ulimit(*limit)));
    object.filled("devices", all(&service.devices, device));
    object.filled("device_cgroup_rules", json!(service.device_cgroup_rules));
    object.filled("gpus", all(&service.gpus, device_request));
    for (key, mode) in [
        ("pid", &service.pid),
        ("ipc", &service.ipc),
        ("uts", &service.uts),
        ("userns_mode", &service.userns_mode),
        ("cgroup", &service.cgroup),
        ("cgroup_parent", &service.cgroup_parent),
    ] {
        object.text(key, mode);
    }
    if let Some(spec) = &service.credential_spec {
        let mut printed = Object::default();
        printed.text("config", &spec.config);
        printed.text("file", &spec.file);
        printed.text("registry", &spec.registry);
        object.put("credential_spec", printed.into());
    }
}

fn limits(limits: &Limits, object: &mut Object) {
    object.float("cpus", limits.cpus);
    object.text("cpuset", &limits.cpuset);
    object.number("cpu_count", limits.cpu_count);
    object.float("cpu_percent", limits.cpu_percent);
    object.number("cpu_period", limits.cpu_period);
    object.number("cpu_quota", limits.cpu_quota);
    object.number("cpu_rt_period", limits.cpu_rt_period);
    object.number("cpu_rt_runtime", limits.cpu_rt_runtime);
    object.number("cpu_shares", limits.cpu_shares);
    object.bytes("mem_limit", limits.memory);
    object.bytes("mem_reservation", limits.memory_reservation);
    object.bytes("memswap_limit", limits.memory_swap);
    object.bytes("mem_swappiness", limits.memory_swappiness);
    object.number("pids_limit", limits.pids);
    object.flag("oom_kill_disable", limits.oom_kill_disable);
    object.number("oom_score_adj", limits.oom_score_adj);
}

fn build(build: &Build) -> Value {
    let mut object = Object::default();
    object.filled("context", build.context.as_str());
    object.text("dockerfile", &build.dockerfile);
    object.text("dockerfile_inline", &build.dockerfile_inline);
    object.filled("entitlements", json!(build.entitlements));
    object.filled("args", json!(build.args));
    object.text("provenance", &build.provenance);
    object.text("sbom", &build.sbom);
    object.filled(
        "ssh",
        build.ssh.iter().map(|(id, path)| ssh(id, path)).collect::<Value>(),
    );
    object.filled("labels", json!(build.labels));
    object.filled("cache_from", json!(build.cache_from));
    object.filled("cache_to", json!(build.cache_to));
    object.flag("no_cache", build.no_cache);
    object.filled("additional_contexts", json!(build.additional_contexts));
    object.flag("pull", build.pull);
    object.filled("extra_hosts", hosts(&build.extra_hosts));
    object.text("isolation", &build.isolation);
    object.text("network", &build.network);
    object.text("target", &build.target);
    object.filled("secrets", all(&build.secrets, file_mount));
    object.bytes("shm_size", build.shm_size);
    object.filled("tags", json!(build.tags));
    object.filled("ulimits", members(&build.ulimits, |limit| ulimit(*limit)));
    object.filled("platforms", json!(build.platforms));
    object.flag("privileged", build.privileged);
    object.into()
}

fn ssh(id: &str, path: &str) -> Value {
    if path.is_empty() {
        json!(id)
    } else {
        json!(format!("{id}={path}"))
    }
}

fn dependency(dependency: &Dependency) -> Value {
    let mut object = Object::default();
    object.put("condition", json!(dependency.condition.as_str()));
    object.flag("restart", dependency.restart);
    object.put("required", json!(dependency.required));
    object.into()
}

fn healthcheck(check: &Healthcheck) -> Value {
    let mut object = Object::default();
    object.filled("test", json!(check.test));
    object.duration("timeout", check.timeout);
    object.duration("interval", check.interval);
    object.filled("retries", check.retries);
    object.duration("start_period", check.start_period);
    object.duration("start_interval", check.start_interval);
    object.flag("disable", check.disable);
    object.into()
}

fn hook(hook: &Hook) -> Value {
    let mut object = Object::default();
    let command = Some(&hook.command).filter(|command| !command.is_empty());
    object.put("command", json!(command));
    object.text("user", &hook.user);
    object.flag("privileged", hook.privileged);
    object.text("working_dir", &hook.working_dir);
    object.filled("environment", json!(hook.environment));
    object.into()
}

fn attachment(attachment: &NetworkAttachment) -> Value {
    if !attachment.detailed {
        return Value::Null;
    }
    let mut object = Object::default();
    object.filled("aliases", json!(attachment.aliases));
    object.filled("driver_opts", json!(attachment.driver_opts));
    object.number("gw_priority", Some(attachment.gw_priority));
    object.text("interface_name", &attachment.interface_name);
    object.text("ipv4_address", &attachment.ipv4_address);
    object.text("ipv6_address", &attachment.ipv6_address);
    object.filled("link_local_ips", json!(attachment.link_local_ips));
    object.text("mac_address", &attachment.mac_address);
    object.number("priority", Some(attachment.priority));
    object.into()
}

fn port(port: &Port) -> Value {
    let mut object = Object::default();
    object.text("name", &port.name);
    object.filled("mode", port.mode.as_str());
    object.text("host_ip", &port.host_ip);
    object.number("target", Some(port.target.into()));
    object.text("published", &port.published);
    object.filled("protocol", port.protocol.as_str());
    object.text("app_protocol", &port.app_protocol);
    object.into()
}

fn hosts(hosts: &BTreeMap<String, Vec<String>>) -> Value {
    let lines = hosts
        .iter()
        .flat_map(|(name, addresses)| addresses.iter().map(move |to| format!("{name}={to}")));
    let mut lines: Vec<String> = lines.collect();
    lines.sort();
    json!(lines)
}

fn mount(mount: &Mount) -> Value {
    let mut object = Object::default();
    object.put("type", json!(mount.kind.as_str()));
    object.text("source", &mount.source);
    object.filled("target", mount.target.as_str());
    object.flag("read_only", mount.read_only);
    object.text("consistency", &mount.consistency);
    if let Some(options) = &mount.bind {
        let mut bind = Object::default();
        bind.text("selinux", &options.selinux);
        bind.text("propagation", &options.propagation);
        bind.flag("create_host_path", options.create_host_path);
        bind.text("recursive", &options.recursive);
        object.put("bind", bind.into());
    }
    if let Some(options) = &mount.volume {
        let mut volume = Object::default();
        volume.filled("labels", json!(options.labels));
        volume.flag("nocopy", options.nocopy);
        volume.text("subpath", &options.subpath);
        object.put("volume", volume.into());
    }
    if let Some(options) = &mount.tmpfs {
        let mut tmpfs = Object::default();
        tmpfs.bytes("size", options.size);
        tmpfs.number("mode", options.mode.map(i64::from));
        object.put("tmpfs", tmpfs.into());
    }
    if let Some(options) = &mount.image {
        let mut image = Object::default();
        image.text("subpath", &options.subpath);
        object.put("image", image.into());
    }
    object.into()
}

fn file_mount(mount: &FileMount) -> Value {
    let mut object = Object::default();
    object.filled("source", mount.source.as_str());
    object.text("target", &mount.target);
    object.text("uid", &mount.uid);
    object.text("gid", &mount.gid);
    object.filled("mode", mount.mode.map(|mode| format!("0{mode:o}")));
    object.into()
}

fn ulimit(limit: Ulimit) -> Value {
    match limit {
        Ulimit::Both(limit) if limit != 0 => json!(limit),
        limit => {
            let (soft, hard) = limit.soft_hard();
            let mut object = Object::default();
            object.number("soft", Some(soft));
            object.number("hard", Some(hard));
            object.into()
        }
    }
}

fn device(device: &Device) -> Value {
    let mut object = Object::default();
    object.filled("source", device.source.as_str());
    object.filled("target", device.target.as_str());
    object.filled("permissions", device.permissions.as_str());
    object.into()
}

fn device_request(request: &DeviceRequest) -> Value {
    let mut object = Object::default();
    object.filled("capabilities", json!(request.capabilities));
    object.text("driver", &request.driver);
    object.number("count", request.count);
    object.filled("device_ids", json!(request.device_ids));
    object.filled("options", json!(request.options));
    object.into()
}

fn blkio(blkio: &Blkio) -> Value {
    let rates = |list: &[(String, i64)]| all(list, |(path, rate)| json!({"Path": path, "Rate": rate.to_string()}));
    let mut object = Object::default();
    object.number("weight", blkio.weight.map(i64::from));
    object.filled(
        "weight_device",
        all(
            &blkio.weight_device,
            |(path, weight)| json!({"Path": path, "Weight": weight}),
        ),
    );
    object.filled("device_read_bps", rates(&blkio.device_read_bps));
    object.filled("device_read_iops", rates(&blkio.device_read_iops));
    object.filled("device_write_bps", rates(&blkio.device_write_bps));
    object.filled("device_write_iops", rates(&blkio.device_write_iops));
    object.into()
}

fn logging(logging: &Logging) -> Value {
    let mut object = Object::default();
    object.text("driver", &logging.driver);
    object.filled("options", json!(logging.options));
    object.into()
}

fn provider(provider: &Provider) -> Value {
    let mut object = Object::default();
    object.put("type", json!(provider.kind));
    object.filled("options", json!(provider.options));
    object.into()
}

fn model_binding(binding: &ModelBinding) -> Value {
    if !binding.detailed {
        return Value::Null;
    }
    let mut object = Object::default();
    object.text("endpoint_var", &binding.endpoint_var);
    object.text("model_var", &binding.model_var);
    object.into()
}

fn watch(watch: &Watch) -> Value {
    let mut object = Object::default();
    object.put("path", json!(watch.path));
    object.put("action", json!(watch.action));
    object.text("target", &watch.target);
    object.put(
        "exec",
        watch.exec.as_ref().map_or_else(|| json!({"command": null}), hook),
    );
    object.filled("include", json!(watch.include));
    object.filled("ignore", json!(watch.ignore));
    object.flag("initial_sync", watch.initial_sync);
    object.into()
}

fn deploy(deploy: &Deploy) -> Value {
    let mut object = Object::default();
    object.text("mode", &deploy.mode);
    object.filled("replicas", deploy.replicas);
    object.filled("labels", json!(deploy.labels));
    object.filled("update_config", deploy.update_config.as_ref().map(update_config));
    object.filled("rollback_config", deploy.rollback_config.as_ref().map(update_config));
    let mut both = Object::default();
    both.filled("limits", deploy.limits.as_ref().map(resources));
    both.filled("reservations", deploy.reservations.as_ref().map(resources));
    object.put("resources", both.into());
    object.filled("restart_policy", deploy.restart_policy.as_ref().map(restart_policy));
    object.put("placement", placement(&deploy.placement));
    object.text("endpoint_mode", &deploy.endpoint_mode);
    object.into()
}

fn resources(resources: &Resources) -> Value {
    let mut object = Object::default();
    object.float("cpus", resources.cpus);
    object.bytes("memory", resources.memory);
    object.number("pids", resources.pids);
    object.filled("devices", all(&resources.devices, device_request));
    let generic = |(kind, value): &(String, i64)| json!({"discrete_resource_spec": {"kind": kind, "value": value}});
    object.filled("generic_resources", all(&resources.generic, generic));
    object.into()
}

fn restart_policy(policy: &RestartPolicy) -> Value {
    let mut object = Object::default();
    object.text("condition", &policy.condition);
    object.duration("delay", policy.delay);
    object.filled("max_attempts", policy.max_attempts);
    object.duration("window", policy.window);
    object.into()
}

fn update_config(config: &UpdateConfig) -> Value {
    let mut object = Object::default();
    object.filled("parallelism", config.parallelism);
    object.duration("delay", config.delay.filter(|delay| !delay.is_zero()));
    object.text("failure_action", &config.failure_action);
    object.duration("monitor", config.monitor.filter(|monitor| !monitor.is_zero()));
    object.float("max_failure_ratio", config.max_failure_ratio);
    object.text("order", &config.order);
    object.into()
}

fn placement(placement: &Placement) -> Value {
    let mut object = Object::default();
    object.filled("constraints", json!(placement.constraints));
    object.filled(
        "preferences",
        all(&placement.preferences, |spread| json!({"spread": spread})),
    );
    object.number(
        "max_replicas_per_node",
        placement.max_replicas_per_node.map(|number| number as i64),
    );
    object.into()
}

fn network(network: &Network) -> Value {
    let mut object = Object::default();
    object.put("name", json!(network.name));
    object.text("driver", &network.driver);
    object.filled("driver_opts", json!(network.driver_opts));
    object.put("ipam", ipam(&network.ipam));
    object.flag("external", network.external);
    object.flag("internal", network.internal);
    object.flag("attachable", network.attachable);
    object.filled("labels", json!(network.labels));
    object.filled("enable_ipv4", network.enable_ipv4);
    object.filled("enable_ipv6", network.enable_ipv6);
    object.into()
}

fn ipam(ipam: &Ipam) -> Value {
    let mut object = Object::default();
    object.text("driver", &ipam.driver);
    object.filled("config", all(&ipam.pools, ipam_pool));
    object.into()
}

fn ipam_pool(pool: &IpamPool) -> Value {
    let mut object = Object::default();
    object.text("subnet", &pool.subnet);
    object.text("gateway", &pool.gateway);
    object.text("ip_range", &pool.ip_range);
    object.filled("aux_addresses", json!(pool.aux_addresses));
    object.into()
}

fn volume(volume: &Volume) -> Value {
    let mut object = Object::default();
    object.put("name", json!(volume.name));
    object.text("driver", &volume.driver);
    object.filled("driver_opts", json!(volume.driver_opts));
    object.flag("external", volume.external);
    object.filled("labels", json!(volume.labels));
    object.into()
}

fn file_object(file: &FileObject) -> Value {
    let mut object = Object::default();
    object.put("name", json!(file.name));
    match &file.source {
        FileSource::File(path) => object.put("file", json!(path)),
        FileSource::Environment { variable, .. } => object.put("environment", json!(variable)),
        FileSource::Content(content) => object.put("content", json!(content)),
        FileSource::External => object.put("external", json!(true)),
    }
    object.filled("labels", json!(file.labels));
    object.text("driver", &file.driver);
    object.filled("driver_opts", json!(file.driver_opts));
    object.text("template_driver", &file.template_driver);
    object.into()
}
