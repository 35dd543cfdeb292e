//! The last step to a [`Project`]: names, profiles, env files, what is implied and never written, and whether
//! everything that is named exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::options::{Dotenv, Fragment, LoadOptions};
use crate::compose::load::{Loaded, open};
use crate::compose::model::*;
use crate::compose::read::Sections;
use crate::yaml::diagnostic::{Diagnostic, nearest};
use crate::yaml::env_file::{self, Format};
use crate::yaml::span::Span;

type Done = Result<(), Diagnostic>;

/// Makes the project.
pub(super) fn project(
    sections: Sections,
    loaded: Loaded,
    options: LoadOptions,
    fragments: Vec<Fragment>,
) -> Result<Project, Diagnostic> {
    let profiles = active_profiles(&options, &loaded.environment);
    let (services, disabled) = sections
        .services
        .into_iter()
        .partition(|(_, service)| selected(service, &profiles));
    let mut project = Project {
        name: loaded.name,
        directory: loaded.directory,
        environment: loaded.environment,
        services,
        disabled,
        networks: sections.networks,
        volumes: sections.volumes,
        secrets: sections.secrets,
        configs: sections.configs,
        models: sections.models,
        extensions: sections.extensions,
        warnings: loaded.warnings,
        unset: loaded.unset,
        used: loaded.used,
        options,
        fragments,
    };
    project.name_objects();
    project.complete_services()?;
    project.check()?;
    project.drop_unused();
    Ok(project)
}

/// Those asked for, else those of `COMPOSE_PROFILES`.
fn active_profiles(options: &LoadOptions, environment: &BTreeMap<String, String>) -> Vec<String> {
    if !options.profiles.is_empty() {
        return options.profiles.clone();
    }
    let listed = environment
        .get("COMPOSE_PROFILES")
        .map(String::as_str)
        .unwrap_or_default();
    listed
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

fn selected(service: &Service, active: &[String]) -> bool {
    service.profiles.is_empty()
        || active
            .iter()
            .any(|profile| profile == "*" || service.profiles.contains(profile))
}

impl Project {
    /// What has no name of its own is called after the project.
    fn name_objects(&mut self) {
        let project = &self.name;
        let named = |key: &String, name: &mut String| {
            if name.is_empty() {
                *name = format!("{project}_{key}");
            }
        };
        self.networks
            .iter_mut()
            .for_each(|(key, network)| named(key, &mut network.name));
        self.volumes
            .iter_mut()
            .for_each(|(key, volume)| named(key, &mut volume.name));
        self.secrets
            .iter_mut()
            .for_each(|(key, secret)| named(key, &mut secret.name));
        self.configs
            .iter_mut()
            .for_each(|(key, config)| named(key, &mut config.name));
        for object in self.secrets.values_mut().chain(self.configs.values_mut()) {
            if let FileSource::Environment { variable, value } = &mut object.source {
                *value = self.environment.get(variable).cloned();
            }
        }
    }

    fn complete_services(&mut self) -> Done {
        for service in self.services.values_mut().chain(self.disabled.values_mut()) {
            join_default_network(service);
            imply_dependencies(service);
            complete_build(service);
            complete_scale(service)?;
            agree_on_limits(service)?;
            for secret in &mut service.secrets {
                secret
                    .target
                    .get_or_insert_with(|| format!("/run/secrets/{}", secret.source));
            }
        }
        let dotenv = HostDotenv {
            path: self.directory.join(".env"),
            says: &self.options.dotenv,
        };
        for service in self.services.values_mut() {
            read_env_files(service, &self.environment, &dotenv)?;
            read_label_files(service)?;
        }
        if self.uses_default_network() && !self.networks.contains_key("default") {
            let network = default_network(&self.name);
            self.networks.insert("default".to_owned(), network);
        }
        Ok(())
    }

    fn uses_default_network(&self) -> bool {
        let mut services = self.services.values().chain(self.disabled.values());
        services.any(|service| service.networks.contains_key("default"))
    }

    /// Keeps the objects that an active service uses.
    fn drop_unused(&mut self) {
        let mut used = Used::default();
        self.services.values().for_each(|service| used.add(service));
        self.networks.retain(|key, _| used.networks.contains(key));
        self.volumes.retain(|key, _| used.volumes.contains(key));
        self.secrets.retain(|key, _| used.secrets.contains(key));
        self.configs.retain(|key, _| used.configs.contains(key));
        self.models.retain(|key, _| used.models.contains(key));
    }

    fn check(&self) -> Done {
        if self.services.is_empty() && self.disabled.is_empty() {
            return Err(Diagnostic::new("the compose files have no service"));
        }
        for service in self.services.values() {
            self.check_service(service)?;
        }
        self.check_circles()
    }

    fn check_service(&self, service: &Service) -> Done {
        let has_image = service.image.as_ref().is_some_and(|image| !image.is_empty());
        if !has_image && service.build.is_none() && service.provider.is_none() {
            return Err(Diagnostic::at(
                &service.span,
                format!("`{}` has neither an image nor a build", service.name),
            ));
        }
        if let (Some(mode), Some(attachment)) = (&service.network_mode, service.networks.values().next()) {
            let message = format!("`networks` and `network_mode: {mode}` exclude each other");
            return Err(Diagnostic::at(&attachment.span, message));
        }
        for (name, attachment) in &service.networks {
            self.known("network", name, &self.networks, &attachment.span)?;
        }
        for mount in service.mounts.iter().filter(|mount| mount.kind == MountKind::Volume) {
            if let Some(source) = &mount.source {
                self.known("volume", source, &self.volumes, &mount.span)?;
            }
        }
        let built = service.build.iter().flat_map(|build| &build.secrets);
        for mount in service.secrets.iter().chain(built) {
            self.known("secret", &mount.source, &self.secrets, &mount.span)?;
        }
        for mount in &service.configs {
            self.known("config", &mount.source, &self.configs, &mount.span)?;
        }
        for model in service.models.keys() {
            self.known("model", model, &self.models, &service.span)?;
        }
        let contexts = service
            .build
            .iter()
            .flat_map(|build| build.additional_contexts.values());
        for name in contexts.filter_map(|context| context.strip_prefix("service:")) {
            self.known("service", name, &self.services, &service.span)?;
        }
        self.check_dependencies(service)?;
        check_targets(service)?;
        if service.container_name.is_some() && service.replicas() > 1 {
            let message = format!("`{}` has a `container_name`, so it cannot have replicas", service.name);
            return Err(Diagnostic::at(&service.span, message));
        }
        Ok(())
    }

    fn check_dependencies(&self, service: &Service) -> Done {
        for (name, dependency) in &service.depends_on {
            if self.services.contains_key(name) || (!dependency.required && self.disabled.contains_key(name)) {
                continue;
            }
            if self.disabled.contains_key(name) {
                let profiles = self.disabled[name].profiles.join("`, `");
                return Err(Diagnostic::at(
                    &dependency.span,
                    format!("`{name}` is not started: its profile is not active"),
                )
                .help(format!(
                    "activate one of its profiles (`{profiles}`), or say `required: false`"
                )));
            }
            self.known("service", name, &self.services, &dependency.span)?;
        }
        Ok(())
    }

    fn known<T>(&self, kind: &str, name: &str, objects: &BTreeMap<String, T>, span: &Span) -> Done {
        if objects.contains_key(name) {
            return Ok(());
        }
        let error = Diagnostic::at(span, format!("there is no {kind} `{name}`"));
        Err(match nearest(name, objects.keys().map(String::as_str)) {
            Some(near) => error.help(format!("did you mean `{near}`?")),
            None => error.help(format!("declare it under the top-level `{kind}s`")),
        })
    }

    fn check_circles(&self) -> Done {
        let mut done = BTreeSet::new();
        for name in self.services.keys() {
            self.walk(name, &mut Vec::new(), &mut done)?;
        }
        Ok(())
    }

    fn walk<'a>(&'a self, name: &'a str, above: &mut Vec<&'a str>, done: &mut BTreeSet<&'a str>) -> Done {
        let Some(service) = self.services.get(name).filter(|_| !done.contains(name)) else {
            return Ok(());
        };
        above.push(name);
        for (next, dependency) in &service.depends_on {
            if let Some(start) = above.iter().position(|known| known == next) {
                let circle = [&above[start..], &[next.as_str()]].concat().join("` → `");
                return Err(Diagnostic::at(
                    &dependency.span,
                    format!("a circle of dependencies: `{circle}`"),
                ));
            }
            self.walk(next, above, done)?;
        }
        above.pop();
        done.insert(name);
        Ok(())
    }
}

#[derive(Default)]
struct Used {
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    secrets: BTreeSet<String>,
    configs: BTreeSet<String>,
    models: BTreeSet<String>,
}

impl Used {
    fn add(&mut self, service: &Service) {
        self.networks.extend(service.networks.keys().cloned());
        let mounts = service.mounts.iter().filter(|mount| mount.kind == MountKind::Volume);
        self.volumes.extend(mounts.filter_map(|mount| mount.source.clone()));
        self.secrets
            .extend(service.secrets.iter().map(|mount| mount.source.clone()));
        let built = service.build.iter().flat_map(|build| &build.secrets);
        self.secrets.extend(built.map(|mount| mount.source.clone()));
        self.configs
            .extend(service.configs.iter().map(|mount| mount.source.clone()));
        self.models.extend(service.models.keys().cloned());
    }
}

fn default_network(project: &str) -> Network {
    Network {
        name: format!("{project}_default"),
        external: false,
        driver: None,
        driver_opts: BTreeMap::new(),
        internal: false,
        attachable: false,
        enable_ipv4: None,
        enable_ipv6: None,
        labels: BTreeMap::new(),
        ipam: Ipam::default(),
        span: None,
    }
}

fn join_default_network(service: &mut Service) {
    if !service.networks.is_empty() || service.network_mode.is_some() || service.provider.is_some() {
        return;
    }
    let attachment = NetworkAttachment {
        aliases: Vec::new(),
        ipv4_address: None,
        ipv6_address: None,
        link_local_ips: Vec::new(),
        mac_address: None,
        interface_name: None,
        driver_opts: BTreeMap::new(),
        priority: 0,
        gw_priority: 0,
        detailed: false,
        span: service.span.clone(),
    };
    service.networks.insert("default".to_owned(), attachment);
}

/// Links, shared namespaces and volumes of another service: that one comes first.
fn imply_dependencies(service: &mut Service) {
    let mut implied: Vec<(String, bool)> = Vec::new();
    for link in &service.links {
        implied.push((link.split(':').next().unwrap_or(link).to_owned(), true));
    }
    if let Some(NetworkMode::Service(name)) = &service.network_mode {
        implied.push((name.clone(), true));
    }
    let namespaces = [&service.ipc, &service.pid, &service.uts, &service.cgroup];
    for shared in namespaces
        .into_iter()
        .flatten()
        .filter_map(|mode| mode.strip_prefix("service:"))
    {
        implied.push((shared.to_owned(), true));
    }
    implied.extend(
        service
            .volumes_from
            .iter()
            .filter(|from| !from.container)
            .map(|from| (from.name.clone(), false)),
    );
    for (name, restart) in implied {
        let span = service.span.clone();
        let dependency = Dependency {
            condition: Condition::Started,
            restart,
            required: true,
            span,
        };
        service.depends_on.entry(name).or_insert(dependency);
    }
}

fn complete_build(service: &mut Service) {
    if let Some(build) = &mut service.build {
        if build.dockerfile_inline.is_none() {
            build.dockerfile.get_or_insert_with(|| "Dockerfile".to_owned());
        }
        build.args.retain(|_, value| value.is_some());
    }
}

/// `scale` and `deploy.replicas` are one number.
fn complete_scale(service: &mut Service) -> Done {
    let (Some(scale), Some(deploy)) = (service.scale, &mut service.deploy) else {
        return Ok(());
    };
    let replicas = *deploy.replicas.get_or_insert(scale);
    agree(service, "scale", "deploy.replicas", Some(scale), Some(replicas))
}

/// Limits may be written in two places, but not differently.
fn agree_on_limits(service: &Service) -> Done {
    let Some(deploy) = &service.deploy else { return Ok(()) };
    let (none, limits) = (Resources::default(), &service.limits);
    let upper = deploy.limits.as_ref().unwrap_or(&none);
    let lower = deploy.reservations.as_ref().unwrap_or(&none);
    agree(service, "cpus", "deploy.resources.limits.cpus", limits.cpus, upper.cpus)?;
    agree(
        service,
        "mem_limit",
        "deploy.resources.limits.memory",
        limits.memory,
        upper.memory,
    )?;
    agree(
        service,
        "pids_limit",
        "deploy.resources.limits.pids",
        limits.pids,
        upper.pids,
    )?;
    let reserved = (limits.memory_reservation, lower.memory);
    agree(
        service,
        "mem_reservation",
        "deploy.resources.reservations.memory",
        reserved.0,
        reserved.1,
    )
}

fn agree<T: PartialEq>(service: &Service, one: &str, other: &str, a: Option<T>, b: Option<T>) -> Done {
    if a.is_some() && b.is_some() && a != b {
        let message = format!("`{one}` and `{other}` of `{}` say different things", service.name);
        return Err(Diagnostic::at(&service.span, message).help("keep one of the two"));
    }
    Ok(())
}

/// Two things cannot be mounted at one place.
fn check_targets(service: &Service) -> Done {
    let mut taken: BTreeSet<&str> = service
        .tmpfs
        .iter()
        .map(|line| line.split(':').next().unwrap_or(line))
        .collect();
    for mount in &service.mounts {
        if !taken.insert(&mount.target) {
            return Err(Diagnostic::at(
                &mount.span,
                format!("something is mounted at `{}` already", mount.target),
            ));
        }
    }
    Ok(())
}

/// `.env` in the project directory, and what it says where production is.
struct HostDotenv<'a> {
    path: PathBuf,
    says: &'a Dotenv,
}

impl HostDotenv<'_> {
    /// The files that are read where a service names one.
    fn stand_for<'a>(&'a self, file: &'a EnvFile) -> Vec<(&'a EnvFile, &'a Path)> {
        match file.path == self.path && !self.says.files.is_empty() {
            true => self.says.files.iter().map(|path| (file, path.as_path())).collect(),
            false => vec![(file, &file.path)],
        }
    }
}

/// Env files lie beneath `environment`. Their variables see the outer environment, that of the service, and the files
/// before.
fn read_env_files(service: &mut Service, environment: &BTreeMap<String, String>, dotenv: &HostDotenv) -> Done {
    let mut found: BTreeMap<String, Option<String>> = BTreeMap::new();
    for (file, path) in service.env_files.iter().flat_map(|file| dotenv.stand_for(file)) {
        if !file.required && !path.exists() {
            continue;
        }
        let source = open(path, Some(&file.span))?;
        let own = |name: &str| {
            service
                .environment
                .get(name)
                .or_else(|| found.get(name))
                .cloned()
                .flatten()
        };
        let lookup = |name: &str| environment.get(name).cloned().or_else(|| own(name));
        let variables = env_file::parse(source, file.format, &lookup)
            .map_err(|error| env_file::without_line(&error, &path.display().to_string(), Some(&file.span)))?;
        found.extend(variables.into_iter().map(|(name, value)| (name, Some(value))));
        if file.path == dotenv.path {
            let besides = dotenv.says.variables.clone();
            found.extend(besides.into_iter().map(|(name, value)| (name, Some(value))));
        }
    }
    found.extend(std::mem::take(&mut service.environment));
    service.environment = found;
    Ok(())
}

fn read_label_files(service: &mut Service) -> Done {
    let mut found = BTreeMap::new();
    for file in &service.label_files {
        found.extend(labels_of(file, &service.span)?);
    }
    found.extend(std::mem::take(&mut service.labels));
    service.labels = found;
    Ok(())
}

fn labels_of(file: &Path, span: &Span) -> Result<BTreeMap<String, String>, Diagnostic> {
    let source = open(file, Some(span))?;
    Ok(env_file::parse(source, Format::Dotenv, &|_| None)?
        .into_iter()
        .collect())
}
