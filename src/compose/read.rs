//! The merged tree becomes the typed model. What is unknown or of the wrong kind is refused where it stands.

use std::collections::BTreeMap;
use std::str::FromStr;

use strum::VariantNames;

use crate::compose::fields::{
    Fields, boolean, entries, float, integer, list, one_of, string, string_or_list, strings, text, variables,
};
use crate::compose::model::*;
use crate::compose::scalar::{self, bytes, duration};
use crate::yaml::diagnostic::Diagnostic;
use crate::yaml::env_file::Format;
use crate::yaml::tree::{Entry, Node, Value};

type Read<T> = Result<T, Diagnostic>;

/// The sections of the merged tree.
pub(super) struct Sections {
    pub services: BTreeMap<String, Service>,
    pub networks: BTreeMap<String, Network>,
    pub volumes: BTreeMap<String, Volume>,
    pub secrets: BTreeMap<String, FileObject>,
    pub configs: BTreeMap<String, FileObject>,
    pub models: BTreeMap<String, Model>,
    pub extensions: BTreeMap<String, serde_json::Value>,
}

/// Reads everything, services of inactive profiles included.
pub(super) fn sections(root: &Node) -> Read<Sections> {
    let mut fields = Fields::of(root)?;
    // Taken care of before: what they name is already merged.
    fields.get("include");
    fields.string("version")?;
    fields.string("name")?;
    let sections = Sections {
        services: fields.or("services", named(service))?,
        networks: fields.or("networks", named(network))?,
        volumes: fields.or("volumes", named(volume))?,
        secrets: fields.or("secrets", named(|entry| file_object(entry, Kind::Secret)))?,
        configs: fields.or("configs", named(|entry| file_object(entry, Kind::Config)))?,
        models: fields.or("models", named(model))?,
        extensions: extensions(root),
    };
    fields.finish()?;
    Ok(sections)
}

/// A name for a container. Compose looks for two characters of a good one anywhere in it; what else an engine refuses is
/// of no matter here, as the mirror has names of its own.
fn container_name(node: &Node) -> Read<String> {
    let name = string(node)?;
    let good = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'.' | b'_' | b'-');
    let mut pairs = name.as_bytes().windows(2);
    if !pairs.any(|pair| pair[0].is_ascii_alphanumeric() && good(pair[1])) {
        let message = format!("`{name}` is not a name that a container can have");
        return Err(Diagnostic::at(&node.span, message)
            .help("at least two of letters, digits, `.`, `_` and `-`, beginning with a letter or a digit"));
    }
    Ok(name)
}

/// Members of a section, whose keys are names.
fn named<T>(read: impl Fn(&Entry) -> Read<T>) -> impl Fn(&Node) -> Read<BTreeMap<String, T>> {
    entries(move |entry| {
        let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if entry.key.is_empty() || !entry.key.chars().all(good) {
            return Err(
                Diagnostic::at(&entry.key_span, format!("`{}` is not a valid name", entry.key))
                    .help("letters, digits, `.`, `_` and `-` are allowed"),
            );
        }
        read(entry)
    })
}

fn extensions(root: &Node) -> BTreeMap<String, serde_json::Value> {
    let entries = root.as_map().unwrap_or_default().iter();
    entries
        .filter(|entry| entry.key.starts_with("x-"))
        .map(|entry| (entry.key.clone(), json(&entry.node)))
        .collect()
}

/// A tree that is nobody's business, as JSON.
fn json(node: &Node) -> serde_json::Value {
    match scalar::value(node) {
        Value::Null => serde_json::Value::Null,
        Value::Bool(value) => value.into(),
        Value::Int(value) => value.into(),
        Value::Float(value) => value.into(),
        Value::Str(value) => value.into(),
        Value::Seq(items) => items.iter().map(json).collect(),
        Value::Map(entries) => serde_json::Value::Object(
            entries
                .iter()
                .map(|entry| (entry.key.clone(), json(&entry.node)))
                .collect(),
        ),
    }
}

fn service(entry: &Entry) -> Read<Service> {
    if entry.node.as_map().is_none() {
        return Err(entry.node.expected("a mapping"));
    }
    let mut fields = Fields::of(&entry.node)?;
    // Resolved by the loader before anything was merged.
    fields.get("extends");
    let image_span = fields.get("image").map(|node| node.span.clone());
    let service = Service {
        name: entry.key.clone(),
        span: entry.key_span.clone(),
        profiles: fields.strings("profiles")?,
        image: fields.string("image")?,
        image_span,
        build: fields.opt("build", build)?,
        pull_policy: fields.opt("pull_policy", pull_policy)?,
        pull_refresh_after: fields.string("pull_refresh_after")?,
        platform: fields.string("platform")?,
        command: fields.opt("command", command)?,
        entrypoint: fields.opt("entrypoint", command)?,
        environment: fields.or("environment", variables)?,
        env_files: fields.or("env_file", list(env_file))?,
        labels: fields.mapping("labels")?,
        label_files: fields.strings("label_file")?.into_iter().map(Into::into).collect(),
        annotations: fields.mapping("annotations")?,
        user: fields.string("user")?,
        group_add: fields.or("group_add", list(text))?,
        working_dir: fields.string("working_dir")?,
        init: fields.opt("init", boolean)?,
        tty: fields.flag("tty")?,
        stdin_open: fields.flag("stdin_open")?,
        attach: fields.opt("attach", boolean)?,
        restart: fields.or("restart", restart)?,
        stop_signal: fields.string("stop_signal")?,
        stop_grace_period: fields.opt("stop_grace_period", duration)?,
        depends_on: fields.or("depends_on", entries(dependency))?,
        healthcheck: fields.opt("healthcheck", healthcheck)?,
        post_start: fields.or("post_start", list(hook))?,
        pre_stop: fields.or("pre_stop", list(hook))?,
        scale: fields.opt("scale", integer)?,
        deploy: fields.opt("deploy", deploy)?,
        container_name: fields.opt("container_name", container_name)?,
        hostname: fields.string("hostname")?,
        domainname: fields.string("domainname")?,
        mac_address: fields.string("mac_address")?,
        network_mode: fields.opt("network_mode", network_mode)?,
        networks: fields.or("networks", entries(attachment))?,
        ports: fields.or("ports", list(port))?,
        expose: fields.or("expose", list(text))?,
        links: fields.strings("links")?,
        external_links: fields.strings("external_links")?,
        extra_hosts: fields.or("extra_hosts", hosts)?,
        dns: fields.strings("dns")?,
        dns_opt: fields.strings("dns_opt")?,
        dns_search: fields.strings("dns_search")?,
        mounts: fields.or("volumes", list(mount))?,
        volumes_from: fields.or("volumes_from", list(volumes_from))?,
        tmpfs: fields.strings("tmpfs")?,
        secrets: fields.or("secrets", list(file_mount))?,
        configs: fields.or("configs", list(file_mount))?,
        read_only: fields.flag("read_only")?,
        shm_size: fields.opt("shm_size", bytes)?,
        storage_opt: fields.or("storage_opt", entries(|entry| text(&entry.node)))?,
        privileged: fields.flag("privileged")?,
        cap_add: fields.strings("cap_add")?,
        cap_drop: fields.strings("cap_drop")?,
        security_opt: fields.strings("security_opt")?,
        sysctls: fields.mapping("sysctls")?,
        ulimits: fields.or("ulimits", entries(ulimit))?,
        devices: fields.or("devices", list(device))?,
        device_cgroup_rules: fields.strings("device_cgroup_rules")?,
        gpus: fields.or("gpus", list(device_request))?,
        pid: fields.string("pid")?,
        ipc: fields.string("ipc")?,
        uts: fields.string("uts")?,
        userns_mode: fields.string("userns_mode")?,
        cgroup: fields.opt("cgroup", one_of(&["host", "private"]))?,
        cgroup_parent: fields.string("cgroup_parent")?,
        runtime: fields.string("runtime")?,
        isolation: fields.string("isolation")?,
        credential_spec: fields.opt("credential_spec", credential_spec)?,
        use_api_socket: fields.flag("use_api_socket")?,
        limits: limits(&mut fields)?,
        blkio: fields.opt("blkio_config", blkio)?,
        logging: fields.opt("logging", logging)?,
        provider: fields.opt("provider", provider)?,
        models: fields.or("models", entries(model_binding))?,
        develop: fields.opt("develop", develop)?,
    };
    fields.finish()?;
    Ok(service)
}

fn limits(fields: &mut Fields<'_>) -> Read<Limits> {
    Ok(Limits {
        cpus: fields.opt("cpus", float)?,
        cpuset: fields.string("cpuset")?,
        cpu_count: fields.opt("cpu_count", integer)?,
        cpu_percent: fields.opt("cpu_percent", float)?,
        cpu_period: fields.opt("cpu_period", microseconds)?,
        cpu_quota: fields.opt("cpu_quota", microseconds)?,
        cpu_rt_period: fields.opt("cpu_rt_period", microseconds)?,
        cpu_rt_runtime: fields.opt("cpu_rt_runtime", microseconds)?,
        cpu_shares: fields.opt("cpu_shares", integer)?,
        memory: fields.opt("mem_limit", bytes)?,
        memory_reservation: fields.opt("mem_reservation", bytes)?,
        memory_swap: fields.opt("memswap_limit", bytes)?,
        memory_swappiness: fields.opt("mem_swappiness", bytes)?,
        pids: fields.opt("pids_limit", integer)?,
        oom_kill_disable: fields.flag("oom_kill_disable")?,
        oom_score_adj: fields.opt("oom_score_adj", integer)?,
    })
}

fn microseconds(node: &Node) -> Read<i64> {
    integer(node)
}

fn pull_policy(node: &Node) -> Read<String> {
    let policy = string(node)?;
    match policy.as_str() {
        "if_not_present" => Ok("missing".to_owned()),
        "always" | "never" | "build" | "missing" | "refresh" | "daily" | "weekly" => Ok(policy),
        other
            if other
                .strip_prefix("every_")
                .is_some_and(|time| scalar::parse_duration(time).is_some()) =>
        {
            Ok(policy)
        }
        other => Err(Diagnostic::at(&node.span, format!("`{other}` is not a pull policy"))
            .help("one of `always`, `never`, `missing`, `build`, `daily`, `weekly`, `every_12h`")),
    }
}

fn command(node: &Node) -> Read<Vec<String>> {
    match node.value {
        Value::Seq(_) => strings(node),
        _ => {
            let line = string(node)?;
            scalar::split_command(&line).ok_or_else(|| {
                Diagnostic::at(&node.span, "this command line cannot be split into words")
                    .help("close every quote, or write the command as a list")
            })
        }
    }
}

/// Nothing between the quotes is no policy: what is left of an unset variable.
fn restart(node: &Node) -> Read<Option<Restart>> {
    let policy = string(node)?;
    if policy.is_empty() {
        return Ok(None);
    }
    let known = match policy.as_str() {
        "no" => Some(Restart::No),
        "always" => Some(Restart::Always),
        "unless-stopped" => Some(Restart::UnlessStopped),
        "on-failure" => Some(Restart::OnFailure(None)),
        other => {
            let limit = other.strip_prefix("on-failure:").and_then(|limit| limit.parse().ok());
            limit.map(|limit| Restart::OnFailure(Some(limit)))
        }
    };
    known.map(Some).ok_or_else(|| {
        Diagnostic::at(&node.span, format!("`{policy}` is not a restart policy"))
            .help("one of `no`, `always`, `on-failure`, `on-failure:3`, `unless-stopped`")
    })
}

fn dependency(entry: &Entry) -> Read<Dependency> {
    let mut fields = Fields::of(&entry.node)?;
    let condition = fields.opt("condition", condition)?;
    let dependency = Dependency {
        condition: condition.ok_or_else(|| {
            Diagnostic::at(&entry.key_span, "the key `condition` is missing").help(known::<Condition>())
        })?,
        restart: fields.flag("restart")?,
        required: fields.opt("required", boolean)?.unwrap_or(true),
        span: entry.key_span.clone(),
    };
    fields.finish()?;
    Ok(dependency)
}

fn condition(node: &Node) -> Read<Condition> {
    word(node, "a condition")
}

/// One of an enum's words.
fn word<T: FromStr + VariantNames>(node: &Node, what: &str) -> Read<T> {
    let text = string(node)?;
    text.parse()
        .map_err(|_| Diagnostic::at(&node.span, format!("`{text}` is not {what}")).help(known::<T>()))
}

fn known<T: VariantNames>() -> String {
    format!("one of `{}`", T::VARIANTS.join("`, `"))
}

fn healthcheck(node: &Node) -> Read<Healthcheck> {
    let mut fields = Fields::of(node)?;
    let healthcheck = Healthcheck {
        test: fields.opt("test", health_test)?,
        interval: fields.opt("interval", duration)?,
        timeout: fields.opt("timeout", duration)?,
        retries: fields.opt("retries", integer)?,
        start_period: fields.opt("start_period", duration)?,
        start_interval: fields.opt("start_interval", duration)?,
        disable: fields.flag("disable")?,
        span: node.span.clone(),
    };
    fields.finish()?;
    Ok(healthcheck)
}

fn health_test(node: &Node) -> Read<Vec<String>> {
    let Value::Seq(_) = node.value else {
        return Ok(vec!["CMD-SHELL".to_owned(), string(node)?]);
    };
    let test = strings(node)?;
    match test.first().map(String::as_str) {
        None | Some("NONE" | "CMD" | "CMD-SHELL") => Ok(test),
        Some(other) => Err(
            Diagnostic::at(&node.span, format!("a health check cannot start with `{other}`"))
                .help("the first item is `CMD`, `CMD-SHELL` or `NONE`"),
        ),
    }
}

/// What a container runs once it has started, or before it is stopped.
fn hook(node: &Node) -> Read<Hook> {
    let hook = watch_hook(node)?;
    if hook.command.is_empty() {
        return Err(Diagnostic::at(&node.span, "the key `command` is missing"));
    }
    Ok(hook)
}

/// What runs after a sync. `docker compose config` prints one without a command for every rule that has none.
fn watch_hook(node: &Node) -> Read<Hook> {
    let mut fields = Fields::of(node)?;
    let hook = Hook {
        command: fields.or("command", command)?,
        user: fields.string("user")?,
        privileged: fields.flag("privileged")?,
        working_dir: fields.string("working_dir")?,
        environment: fields.or("environment", variables)?,
    };
    fields.finish()?;
    Ok(hook)
}

fn network_mode(node: &Node) -> Read<NetworkMode> {
    let mode = string(node)?;
    Ok(match mode.split_once(':') {
        Some(("service", name)) => NetworkMode::Service(name.to_owned()),
        Some(("container", name)) => NetworkMode::Container(name.to_owned()),
        _ if mode == "none" => NetworkMode::None,
        _ if mode == "host" => NetworkMode::Host,
        _ => NetworkMode::Other(mode),
    })
}

fn attachment(entry: &Entry) -> Read<NetworkAttachment> {
    let mut fields = Fields::of(&entry.node)?;
    let attachment = NetworkAttachment {
        aliases: fields.strings("aliases")?,
        ipv4_address: fields.string("ipv4_address")?,
        ipv6_address: fields.string("ipv6_address")?,
        link_local_ips: fields.strings("link_local_ips")?,
        mac_address: fields.string("mac_address")?,
        interface_name: fields.string("interface_name")?,
        driver_opts: fields.or("driver_opts", entries(|entry| text(&entry.node)))?,
        priority: fields.or("priority", integer)?,
        gw_priority: fields.or("gw_priority", integer)?,
        detailed: !entry.node.is_null(),
        span: entry.key_span.clone(),
    };
    fields.finish()?;
    Ok(attachment)
}

fn port(node: &Node) -> Read<Port> {
    let mut fields = Fields::of(node)?;
    let target = fields.opt("target", integer)?;
    let port = Port {
        name: fields.string("name")?,
        target: target.ok_or_else(|| Diagnostic::at(&node.span, "the key `target` is missing"))?,
        published: fields.opt("published", text)?,
        host_ip: fields.string("host_ip")?,
        protocol: fields.string("protocol")?.unwrap_or_else(|| "tcp".to_owned()),
        app_protocol: fields.string("app_protocol")?,
        mode: fields.string("mode")?.unwrap_or_else(|| "ingress".to_owned()),
        span: node.span.clone(),
    };
    fields.finish()?;
    Ok(port)
}

fn hosts(node: &Node) -> Read<BTreeMap<String, Vec<String>>> {
    entries(|entry| string_or_list(&entry.node))(node)
}

fn mount(node: &Node) -> Read<Mount> {
    let mut fields = Fields::of(node)?;
    let kind = fields.opt("type", mount_kind)?;
    let mount = Mount {
        kind: kind.ok_or_else(|| Diagnostic::at(&node.span, "the key `type` is missing"))?,
        source: fields.string("source")?,
        target: fields.string("target")?.unwrap_or_default(),
        read_only: fields.flag("read_only")?,
        consistency: fields.string("consistency")?,
        bind: fields.opt("bind", bind_options)?,
        volume: fields.opt("volume", volume_options)?,
        tmpfs: fields.opt("tmpfs", tmpfs_options)?,
        image: fields.opt("image", image_options)?,
        span: node.span.clone(),
    };
    fields.finish()?;
    if mount.target.is_empty() {
        return Err(Diagnostic::at(&node.span, "the key `target` is missing"));
    }
    if mount.source.is_none() && matches!(mount.kind, MountKind::Bind | MountKind::Image) {
        return Err(Diagnostic::at(&node.span, "the key `source` is missing"));
    }
    Ok(mount)
}

fn mount_kind(node: &Node) -> Read<MountKind> {
    word(node, "a type of mount")
}

fn bind_options(node: &Node) -> Read<BindOptions> {
    let mut fields = Fields::of(node)?;
    let options = BindOptions {
        propagation: fields.string("propagation")?,
        create_host_path: fields.flag("create_host_path")?,
        recursive: fields.opt("recursive", one_of(&["enabled", "disabled", "writable", "readonly"]))?,
        selinux: fields.opt("selinux", one_of(&["z", "Z"]))?,
    };
    fields.finish()?;
    Ok(options)
}

fn volume_options(node: &Node) -> Read<VolumeOptions> {
    let mut fields = Fields::of(node)?;
    let options = VolumeOptions {
        nocopy: fields.flag("nocopy")?,
        subpath: fields.string("subpath")?,
        labels: fields.mapping("labels")?,
    };
    fields.finish()?;
    Ok(options)
}

fn tmpfs_options(node: &Node) -> Read<TmpfsOptions> {
    let mut fields = Fields::of(node)?;
    let options = TmpfsOptions {
        size: fields.opt("size", bytes)?,
        mode: fields.opt("mode", integer)?,
    };
    fields.finish()?;
    Ok(options)
}

fn image_options(node: &Node) -> Read<ImageOptions> {
    let mut fields = Fields::of(node)?;
    let options = ImageOptions {
        subpath: fields.string("subpath")?,
    };
    fields.finish()?;
    Ok(options)
}

fn volumes_from(node: &Node) -> Read<VolumesFrom> {
    let text = string(node)?;
    let (container, rest) = match text.strip_prefix("container:") {
        Some(rest) => (true, rest),
        None => (false, text.as_str()),
    };
    let (name, mode) = match rest.split_once(':') {
        Some((name, mode)) => (name, Some(mode.to_owned())),
        None => (rest, None),
    };
    Ok(VolumesFrom {
        container,
        name: name.to_owned(),
        mode,
    })
}

fn file_mount(node: &Node) -> Read<FileMount> {
    let mut fields = Fields::of(node)?;
    let mount = FileMount {
        source: fields.required("source")?,
        target: fields.string("target")?,
        uid: fields.string("uid")?,
        gid: fields.string("gid")?,
        mode: fields.opt("mode", file_mode)?,
        span: node.span.clone(),
    };
    fields.finish()?;
    Ok(mount)
}

/// A number as YAML has it (`0440` is octal there); text is octal.
fn file_mode(node: &Node) -> Read<u32> {
    match node.as_str() {
        Some(text) => u32::from_str_radix(text, 8)
            .map_err(|_| Diagnostic::at(&node.span, format!("`{text}` is not an octal file mode"))),
        None => integer(node),
    }
}

fn ulimit(entry: &Entry) -> Read<Ulimit> {
    if entry.node.as_map().is_none() {
        return Ok(Ulimit::Both(integer(&entry.node)?));
    }
    let mut fields = Fields::of(&entry.node)?;
    let missing = |key| Diagnostic::at(&entry.node.span, format!("the key `{key}` is missing"));
    let soft = fields.opt("soft", integer)?.ok_or_else(|| missing("soft"))?;
    let hard = fields.opt("hard", integer)?.ok_or_else(|| missing("hard"))?;
    fields.finish()?;
    Ok(Ulimit::Range { soft, hard })
}

fn device(node: &Node) -> Read<Device> {
    let mut fields = Fields::of(node)?;
    let source = fields.required("source")?;
    let device = Device {
        target: fields.string("target")?.unwrap_or_else(|| source.clone()),
        permissions: fields.string("permissions")?.unwrap_or_default(),
        source,
    };
    fields.finish()?;
    Ok(device)
}

fn device_request(node: &Node) -> Read<DeviceRequest> {
    let mut fields = Fields::of(node)?;
    let request = DeviceRequest {
        capabilities: fields.strings("capabilities")?,
        driver: fields.string("driver")?,
        count: fields.opt("count", device_count)?,
        device_ids: fields.strings("device_ids")?,
        options: fields.mapping("options")?,
    };
    fields.finish()?;
    if request.count.is_some() && !request.device_ids.is_empty() {
        return Err(Diagnostic::at(
            &node.span,
            "`count` and `device_ids` exclude each other",
        ));
    }
    Ok(request)
}

fn device_count(node: &Node) -> Read<i64> {
    if node.as_str() == Some("all") {
        Ok(-1)
    } else {
        integer(node)
    }
}

fn credential_spec(node: &Node) -> Read<CredentialSpec> {
    let mut fields = Fields::of(node)?;
    let spec = CredentialSpec {
        config: fields.string("config")?,
        file: fields.string("file")?,
        registry: fields.string("registry")?,
    };
    fields.finish()?;
    Ok(spec)
}

fn blkio(node: &Node) -> Read<Blkio> {
    let mut fields = Fields::of(node)?;
    let blkio = Blkio {
        weight: fields.opt("weight", integer)?,
        weight_device: fields.or("weight_device", list(|item| per_device(item, "weight", integer)))?,
        device_read_bps: fields.or("device_read_bps", list(|item| per_device(item, "rate", bytes)))?,
        device_read_iops: fields.or("device_read_iops", list(|item| per_device(item, "rate", bytes)))?,
        device_write_bps: fields.or("device_write_bps", list(|item| per_device(item, "rate", bytes)))?,
        device_write_iops: fields.or("device_write_iops", list(|item| per_device(item, "rate", bytes)))?,
    };
    fields.finish()?;
    Ok(blkio)
}

fn per_device<T: Default>(node: &Node, key: &'static str, read: impl Fn(&Node) -> Read<T>) -> Read<(String, T)> {
    let mut fields = Fields::of(node)?;
    let pair = (fields.required("path")?, fields.or(key, read)?);
    fields.finish()?;
    Ok(pair)
}

fn logging(node: &Node) -> Read<Logging> {
    let mut fields = Fields::of(node)?;
    let logging = Logging {
        driver: fields.string("driver")?,
        options: fields.mapping("options")?,
    };
    fields.finish()?;
    Ok(logging)
}

fn env_file(node: &Node) -> Read<EnvFile> {
    let mut fields = Fields::of(node)?;
    let file = EnvFile {
        path: fields.required("path")?.into(),
        format: fields.or("format", env_format)?,
        required: fields.opt("required", boolean)?.unwrap_or(true),
        span: node.span.clone(),
    };
    fields.finish()?;
    Ok(file)
}

fn env_format(node: &Node) -> Read<Format> {
    match string(node)?.as_str() {
        "raw" => Ok(Format::Raw),
        "" => Ok(Format::Dotenv),
        other => Err(
            Diagnostic::at(&node.span, format!("`{other}` is not a format of env files"))
                .help("`raw`, or no `format` at all"),
        ),
    }
}

fn build(node: &Node) -> Read<Build> {
    let mut fields = Fields::of(node)?;
    let build = Build {
        context: fields.required("context")?,
        dockerfile: fields.string("dockerfile")?,
        dockerfile_inline: fields.string("dockerfile_inline")?,
        target: fields.string("target")?,
        args: fields.or("args", variables)?,
        labels: fields.mapping("labels")?,
        additional_contexts: fields.mapping("additional_contexts")?,
        cache_from: fields.strings("cache_from")?,
        cache_to: fields.strings("cache_to")?,
        no_cache: fields.flag("no_cache")?,
        pull: fields.flag("pull")?,
        network: fields.string("network")?,
        shm_size: fields.opt("shm_size", bytes)?,
        extra_hosts: fields.or("extra_hosts", hosts)?,
        isolation: fields.string("isolation")?,
        privileged: fields.flag("privileged")?,
        secrets: fields.or("secrets", list(file_mount))?,
        ssh: fields.mapping("ssh")?,
        tags: fields.strings("tags")?,
        platforms: fields.strings("platforms")?,
        ulimits: fields.or("ulimits", entries(ulimit))?,
        entitlements: fields.strings("entitlements")?,
        provenance: fields.opt("provenance", text)?,
        sbom: fields.opt("sbom", text)?,
    };
    let inline = fields.get("dockerfile_inline").map(|inline| inline.span.clone());
    fields.finish()?;
    match inline {
        Some(span) if build.dockerfile.is_some() => Err(Diagnostic::at(
            &span,
            "`dockerfile` and `dockerfile_inline` exclude each other",
        )),
        _ => Ok(build),
    }
}

fn deploy(node: &Node) -> Read<Deploy> {
    let mut fields = Fields::of(node)?;
    let (limits, reservations) = fields.or("resources", |node| {
        let mut fields = Fields::of(node)?;
        let pair = (
            fields.opt("limits", resource_limits)?,
            fields.opt("reservations", reservations)?,
        );
        fields.finish()?;
        Ok(pair)
    })?;
    let deploy = Deploy {
        mode: fields.string("mode")?,
        endpoint_mode: fields.string("endpoint_mode")?,
        replicas: fields.opt("replicas", integer)?,
        labels: fields.mapping("labels")?,
        limits,
        reservations,
        restart_policy: fields.opt("restart_policy", restart_policy)?,
        update_config: fields.opt("update_config", update_config)?,
        rollback_config: fields.opt("rollback_config", update_config)?,
        placement: fields.or("placement", placement)?,
    };
    fields.finish()?;
    Ok(deploy)
}

fn resource_limits(node: &Node) -> Read<Resources> {
    let mut fields = Fields::of(node)?;
    let resources = Resources {
        cpus: fields.opt("cpus", float)?,
        memory: fields.opt("memory", bytes)?,
        pids: fields.opt("pids", integer)?,
        ..Resources::default()
    };
    fields.finish()?;
    Ok(resources)
}

fn reservations(node: &Node) -> Read<Resources> {
    let mut fields = Fields::of(node)?;
    let resources = Resources {
        cpus: fields.opt("cpus", float)?,
        memory: fields.opt("memory", bytes)?,
        pids: None,
        devices: fields.or("devices", list(device_request))?,
        generic: fields.or("generic_resources", list(generic_resource))?,
    };
    fields.finish()?;
    Ok(resources)
}

fn generic_resource(node: &Node) -> Read<(String, i64)> {
    let mut fields = Fields::of(node)?;
    let resource = fields.or("discrete_resource_spec", |node| {
        let mut fields = Fields::of(node)?;
        let pair = (fields.or("kind", string)?, fields.or("value", integer)?);
        fields.finish()?;
        Ok(pair)
    })?;
    fields.finish()?;
    Ok(resource)
}

fn restart_policy(node: &Node) -> Read<RestartPolicy> {
    let mut fields = Fields::of(node)?;
    let policy = RestartPolicy {
        condition: fields.string("condition")?,
        delay: fields.opt("delay", duration)?,
        max_attempts: fields.opt("max_attempts", integer)?,
        window: fields.opt("window", duration)?,
    };
    fields.finish()?;
    Ok(policy)
}

fn update_config(node: &Node) -> Read<UpdateConfig> {
    let mut fields = Fields::of(node)?;
    let config = UpdateConfig {
        parallelism: fields.opt("parallelism", integer)?,
        delay: fields.opt("delay", duration)?,
        failure_action: fields.string("failure_action")?,
        monitor: fields.opt("monitor", duration)?,
        max_failure_ratio: fields.opt("max_failure_ratio", float)?,
        order: fields.opt("order", one_of(&["start-first", "stop-first"]))?,
    };
    fields.finish()?;
    Ok(config)
}

fn placement(node: &Node) -> Read<Placement> {
    let mut fields = Fields::of(node)?;
    let placement = Placement {
        constraints: fields.strings("constraints")?,
        preferences: fields.or("preferences", list(preference))?,
        max_replicas_per_node: fields.opt("max_replicas_per_node", integer)?,
    };
    fields.finish()?;
    Ok(placement)
}

fn preference(node: &Node) -> Read<String> {
    let mut fields = Fields::of(node)?;
    let spread = fields.or("spread", string)?;
    fields.finish()?;
    Ok(spread)
}

fn provider(node: &Node) -> Read<Provider> {
    let mut fields = Fields::of(node)?;
    let provider = Provider {
        kind: fields.required("type")?,
        options: fields.or(
            "options",
            entries(|entry| match entry.node.value {
                Value::Seq(_) => list(text)(&entry.node),
                _ => Ok(vec![text(&entry.node)?]),
            }),
        )?,
    };
    fields.finish()?;
    Ok(provider)
}

fn model_binding(entry: &Entry) -> Read<ModelBinding> {
    let mut fields = Fields::of(&entry.node)?;
    let binding = ModelBinding {
        endpoint_var: fields.string("endpoint_var")?,
        model_var: fields.string("model_var")?,
        detailed: !entry.node.is_null(),
    };
    fields.finish()?;
    Ok(binding)
}

fn develop(node: &Node) -> Read<Vec<Watch>> {
    let mut fields = Fields::of(node)?;
    let watches = fields.or("watch", list(watch))?;
    fields.finish()?;
    Ok(watches)
}

fn watch(node: &Node) -> Read<Watch> {
    const ACTIONS: &[&str] = &["rebuild", "sync", "restart", "sync+restart", "sync+exec"];
    let mut fields = Fields::of(node)?;
    let action = fields.opt("action", one_of(ACTIONS))?;
    let watch = Watch {
        path: fields.required("path")?,
        action: action.ok_or_else(|| Diagnostic::at(&node.span, "the key `action` is missing"))?,
        target: fields.string("target")?,
        exec: fields.opt("exec", watch_hook)?,
        include: fields.or("include", string_or_list)?,
        ignore: fields.or("ignore", string_or_list)?,
        initial_sync: fields.flag("initial_sync")?,
    };
    fields.finish()?;
    Ok(watch)
}

/// `external: true`, or the old `external: {name: …}`, which names it as well.
fn external(fields: &mut Fields<'_>) -> Read<(bool, Option<String>)> {
    match fields.get("external") {
        None => Ok((false, None)),
        Some(node) if node.as_map().is_some() => {
            let mut inner = Fields::of(node)?;
            let name = inner.string("name")?;
            inner.finish()?;
            Ok((true, name))
        }
        Some(node) => Ok((boolean(node)?, None)),
    }
}

/// The name outside the project: as written, or empty until [`super::resolve`] knows the project's.
fn outer_name(entry: &Entry, written: Option<String>, external: &(bool, Option<String>)) -> String {
    match external {
        (true, old) => written.or_else(|| old.clone()).unwrap_or_else(|| entry.key.clone()),
        (false, _) => written.unwrap_or_default(),
    }
}

/// What is external exists already, so nothing about its making may be said.
fn refuse_on_external(entry: &Entry, allowed: &[&str]) -> Read<()> {
    let others = entry.node.as_map().unwrap_or_default().iter();
    let mut others = others.filter(|other| !other.key.starts_with("x-") && !allowed.contains(&other.key.as_str()));
    match others.next() {
        Some(other) => Err(Diagnostic::at(
            &other.key_span,
            format!("`{}` cannot be set on what is external", other.key),
        )
        .help(format!(
            "`{}` is made by somebody else: only its `name` can be given",
            entry.key
        ))),
        None => Ok(()),
    }
}

fn network(entry: &Entry) -> Read<Network> {
    let mut fields = Fields::of(&entry.node)?;
    let external = external(&mut fields)?;
    let network = Network {
        name: outer_name(entry, fields.string("name")?, &external),
        external: external.0,
        driver: fields.string("driver")?,
        driver_opts: fields.or("driver_opts", entries(|entry| text(&entry.node)))?,
        internal: fields.flag("internal")?,
        attachable: fields.flag("attachable")?,
        enable_ipv4: fields.opt("enable_ipv4", boolean)?,
        enable_ipv6: fields.opt("enable_ipv6", boolean)?,
        labels: fields.mapping("labels")?,
        ipam: fields.or("ipam", ipam)?,
        span: Some(entry.key_span.clone()),
    };
    fields.finish()?;
    if network.external {
        refuse_on_external(entry, &["name", "external"])?;
    }
    Ok(network)
}

fn ipam(node: &Node) -> Read<Ipam> {
    let mut fields = Fields::of(node)?;
    let ipam = Ipam {
        driver: fields.string("driver")?,
        pools: fields.or("config", list(ipam_pool))?,
        options: fields.mapping("options")?,
    };
    fields.finish()?;
    Ok(ipam)
}

fn ipam_pool(node: &Node) -> Read<IpamPool> {
    let mut fields = Fields::of(node)?;
    let pool = IpamPool {
        subnet: fields.string("subnet")?,
        gateway: fields.string("gateway")?,
        ip_range: fields.string("ip_range")?,
        aux_addresses: fields.mapping("aux_addresses")?,
    };
    fields.finish()?;
    Ok(pool)
}

fn volume(entry: &Entry) -> Read<Volume> {
    let mut fields = Fields::of(&entry.node)?;
    let external = external(&mut fields)?;
    let volume = Volume {
        name: outer_name(entry, fields.string("name")?, &external),
        external: external.0,
        driver: fields.string("driver")?,
        driver_opts: fields.or("driver_opts", entries(|entry| text(&entry.node)))?,
        labels: fields.mapping("labels")?,
        span: entry.key_span.clone(),
    };
    fields.finish()?;
    if volume.external {
        refuse_on_external(entry, &["name", "external"])?;
    }
    Ok(volume)
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Secret,
    Config,
}

fn file_object(entry: &Entry, kind: Kind) -> Read<FileObject> {
    let mut fields = Fields::of(&entry.node)?;
    let external = external(&mut fields)?;
    let name = outer_name(entry, fields.string("name")?, &external);
    let (driver, driver_opts) = match kind {
        Kind::Secret => (
            fields.string("driver")?,
            fields.or("driver_opts", entries(|entry| text(&entry.node)))?,
        ),
        Kind::Config => (None, BTreeMap::new()),
    };
    let object = FileObject {
        source: file_source(&mut fields, entry, kind, external.0)?,
        name,
        labels: fields.mapping("labels")?,
        driver,
        driver_opts,
        template_driver: fields.string("template_driver")?,
        span: entry.key_span.clone(),
    };
    fields.finish()?;
    Ok(object)
}

fn file_source(fields: &mut Fields<'_>, entry: &Entry, kind: Kind, external: bool) -> Read<FileSource> {
    let mut sources = Vec::new();
    sources.extend(fields.string("file")?.map(|path| FileSource::File(path.into())));
    let variable = fields.string("environment")?;
    sources.extend(variable.map(|variable| FileSource::Environment { variable, value: None }));
    if kind == Kind::Config {
        sources.extend(fields.string("content")?.map(FileSource::Content));
    }
    sources.extend(external.then_some(FileSource::External));
    let content = if kind == Kind::Config { ", `content`" } else { "" };
    match (sources.pop(), sources.is_empty()) {
        (Some(source), true) => Ok(source),
        (None, _) => Err(Diagnostic::at(
            &entry.key_span,
            format!("`{}` says not where its content is", entry.key),
        )
        .help(format!("give it one of `file`, `environment`{content}, `external`"))),
        (Some(_), false) => Err(
            Diagnostic::at(&entry.key_span, format!("`{}` has more than one source", entry.key))
                .help(format!("keep one of `file`, `environment`{content}, `external`")),
        ),
    }
}

fn model(entry: &Entry) -> Read<Model> {
    let mut fields = Fields::of(&entry.node)?;
    let model = Model {
        name: fields.string("name")?,
        model: fields.required("model")?,
        context_size: fields.opt("context_size", integer)?,
        runtime_flags: fields.strings("runtime_flags")?,
        span: entry.key_span.clone(),
    };
    fields.finish()?;
    Ok(model)
}
