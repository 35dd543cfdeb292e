//! The session of a build: what BuildKit asks of whoever builds, and gets over a connection that the engine handed over.
//! It sees the folders that the build names, its own secrets and agents, and the logins of registries; nothing else.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow};
use bollard::auth::DockerCredentials;
use bollard_buildkit_proto::fsutil::types::Packet;
use bollard_buildkit_proto::health::health_check_response::ServingStatus;
use bollard_buildkit_proto::health::health_server::{Health, HealthServer};
use bollard_buildkit_proto::health::{HealthCheckRequest, HealthCheckResponse, HealthListRequest, HealthListResponse};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::secrets_server::{Secrets, SecretsServer};
use bollard_buildkit_proto::moby::buildkit::secrets::v1::{GetSecretRequest, GetSecretResponse};
use bollard_buildkit_proto::moby::filesync::packet::file_sync_server::{FileSync, FileSyncServer};
use bollard_buildkit_proto::moby::filesync::v1::auth_server::{Auth, AuthServer};
use bollard_buildkit_proto::moby::filesync::v1::{
    CredentialsRequest, CredentialsResponse, FetchTokenRequest, FetchTokenResponse, GetTokenAuthorityRequest,
    GetTokenAuthorityResponse, VerifyTokenAuthorityRequest, VerifyTokenAuthorityResponse,
};
use bollard_buildkit_proto::moby::sshforward::v1::ssh_server::{Ssh, SshServer};
use bollard_buildkit_proto::moby::sshforward::v1::{BytesMessage, CheckAgentRequest, CheckAgentResponse};
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use hyper::header::{HeaderMap, HeaderValue};
use hyper_util::rt::TokioExecutor;
use hyper_util::service::TowerToHyperService;
use sha2::{Digest as _, Sha256};
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;
use tokio_util::io::ReaderStream;
use tokio_util::task::AbortOnDropHandle;
use tonic::service::Routes;
use tonic::{Request, Response, Status, Streaming};

use super::super::super::Engine;
use super::super::super::line::Transport;
use super::super::recipe::Recipe;
use super::folder::{self, Asked, Local};
use super::keys::Keys;
use crate::world::model::{Build, BuildContext};

/// What BuildKit may ask for, in its own words.
const METHODS: [&str; 5] = [
    "/moby.filesync.v1.FileSync/DiffCopy",
    "/moby.filesync.v1.Auth/Credentials",
    "/moby.buildkit.secrets.v1.Secrets/GetSecret",
    "/moby.sshforward.v1.SSH/CheckAgent",
    "/moby.sshforward.v1.SSH/ForwardAgent",
];

type Answer<T> = Result<Response<T>, Status>;

/// What one build may see.
#[derive(Clone)]
pub(super) struct Session {
    locals: Arc<BTreeMap<String, Local>>,
    secrets: Arc<BTreeMap<String, Vec<u8>>>,
    /// Identity → socket of an agent.
    agents: Arc<BTreeMap<String, PathBuf>>,
    logins: Arc<HashMap<String, DockerCredentials>>,
    /// What the engine keeps of a context is told apart by it.
    key: String,
}

/// A session that BuildKit can speak to, until this is dropped.
pub(super) struct Open {
    pub id: String,
    _serving: AbortOnDropHandle<()>,
}

/// What a named context is called in the session: no other folder is called so.
pub(super) fn context_name(name: &str) -> String {
    format!("named:{name}")
}

/// # Errors
/// The machine has no randomness.
pub(super) fn random_id() -> Result<String> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    Ok(format!("{:032x}", u128::from_be_bytes(bytes)))
}

/// Of all the folders that it sees: what is kept of one must not be taken for another's.
fn key(build: &Build) -> String {
    let folders = build
        .contexts
        .iter()
        .map(|(name, context)| format!("{name}={context:?}"));
    let all = [build.context.display().to_string()].into_iter().chain(folders);
    format!("{:x}", Sha256::digest(all.collect::<Vec<_>>().join("\n")))
}

impl Session {
    /// # Errors
    /// A secret cannot be read.
    pub fn of(engine: &Engine, build: &Build, recipe: &Recipe, keys: &Keys) -> Result<Self> {
        let mut locals = BTreeMap::from([
            ("context".to_owned(), Local::Folder(build.context.clone())),
            ("dockerfile".to_owned(), Local::Files(recipe.files())),
        ]);
        for (name, context) in &build.contexts {
            if let BuildContext::Folder(folder) = context {
                locals.insert(context_name(name), Local::Folder(folder.clone()));
            }
        }
        let read = |(id, secret): (&String, &crate::world::model::BuildSecret)| {
            Ok((id.clone(), secret.read(id).map_err(|why| anyhow!(why))?))
        };
        let secrets: Result<_> = build.secrets.iter().map(read).collect();
        Ok(Self {
            locals: Arc::new(locals),
            secrets: Arc::new(secrets?),
            agents: Arc::new(keys.sockets.clone()),
            logins: Arc::clone(&engine.logins),
            key: key(build),
        })
    }

    /// What must not be told.
    pub fn secrets(&self) -> Vec<String> {
        let texts = self.secrets.values().map(|secret| String::from_utf8_lossy(secret));
        texts.map(|text| text.trim().to_owned()).collect()
    }

    /// # Errors
    /// The engine does not answer, or takes no session.
    pub async fn open(&self, line: &Transport) -> Result<Open> {
        let id = random_id()?;
        let stream = line.upgraded("/session", self.headers(&id)?).await?;
        let stream = stream.context("the engine's BuildKit takes no session")?;
        let routes = Routes::new(HealthServer::new(self.clone()))
            .add_service(FileSyncServer::new(self.clone()))
            .add_service(AuthServer::new(self.clone()))
            .add_service(SecretsServer::new(self.clone()))
            .add_service(SshServer::new(self.clone()))
            .prepare();
        let server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let serving = server.serve_connection(stream, TowerToHyperService::new(routes));
        // Its end shows in the build.
        let serving = tokio::spawn(async { drop(serving.await) });
        Ok(Open {
            id,
            _serving: AbortOnDropHandle::new(serving),
        })
    }

    fn headers(&self, id: &str) -> Result<HeaderMap> {
        let mut headers = HeaderMap::new();
        headers.insert("x-docker-expose-session-uuid", HeaderValue::from_str(id)?);
        headers.insert("x-docker-expose-session-name", HeaderValue::from_static("rehearsal"));
        headers.insert("x-docker-expose-session-sharedkey", HeaderValue::from_str(&self.key)?);
        for method in METHODS {
            headers.append("x-docker-expose-session-grpc-method", HeaderValue::from_static(method));
        }
        Ok(headers)
    }

    fn agent(&self, id: &str) -> Result<&PathBuf, Status> {
        let id = if id.is_empty() { "default" } else { id };
        let agent = self.agents.get(id);
        agent.ok_or_else(|| Status::not_found(format!("`build.ssh` names no `{id}`")))
    }
}

#[tonic::async_trait]
impl Health for Session {
    async fn check(&self, _: Request<HealthCheckRequest>) -> Answer<HealthCheckResponse> {
        let status = ServingStatus::Serving.into();
        Ok(Response::new(HealthCheckResponse { status }))
    }

    async fn list(&self, _: Request<HealthListRequest>) -> Answer<HealthListResponse> {
        Err(Status::unimplemented("nobody asks"))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    async fn watch(&self, _: Request<HealthCheckRequest>) -> Answer<Self::WatchStream> {
        Err(Status::unimplemented("nobody asks"))
    }
}

#[tonic::async_trait]
impl FileSync for Session {
    type DiffCopyStream = BoxStream<'static, Result<Packet, Status>>;

    async fn diff_copy(&self, request: Request<Streaming<Packet>>) -> Answer<Self::DiffCopyStream> {
        let asked = Asked::of(request.metadata());
        let Some(local) = self.locals.get(&asked.name).cloned() else {
            return Err(Status::not_found(format!("the build has no folder `{}`", asked.name)));
        };
        Ok(Response::new(folder::send(local, asked, request.into_inner())))
    }

    type TarStreamStream = BoxStream<'static, Result<Packet, Status>>;

    async fn tar_stream(&self, _: Request<Streaming<Packet>>) -> Answer<Self::TarStreamStream> {
        Err(Status::unimplemented("not offered"))
    }
}

/// The engine asks for tokens itself, as it does when it pulls: only it has to reach the registry.
#[tonic::async_trait]
impl Auth for Session {
    async fn credentials(&self, request: Request<CredentialsRequest>) -> Answer<CredentialsResponse> {
        let host = &request.get_ref().host;
        let login = self.logins.iter().find(|(registry, _)| is_for(registry, host));
        Ok(Response::new(
            login.map_or_else(CredentialsResponse::default, |(_, login)| answer(login)),
        ))
    }

    async fn fetch_token(&self, _: Request<FetchTokenRequest>) -> Answer<FetchTokenResponse> {
        Err(Status::unimplemented("the engine asks for itself"))
    }

    async fn get_token_authority(&self, _: Request<GetTokenAuthorityRequest>) -> Answer<GetTokenAuthorityResponse> {
        Err(Status::unimplemented("the engine asks for itself"))
    }

    async fn verify_token_authority(
        &self,
        _: Request<VerifyTokenAuthorityRequest>,
    ) -> Answer<VerifyTokenAuthorityResponse> {
        Err(Status::unimplemented("the engine asks for itself"))
    }
}

fn answer(login: &DockerCredentials) -> CredentialsResponse {
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    match &login.identitytoken {
        Some(token) => CredentialsResponse {
            username: String::new(),
            secret: token.clone(),
        },
        None => CredentialsResponse {
            username: text(&login.username),
            secret: text(&login.password),
        },
    }
}

/// Whether a login, by the name that `docker login` gives its registry, is for a host.
fn is_for(registry: &str, host: &str) -> bool {
    let bare = |name: &str| {
        let name = name.trim_start_matches("https://").trim_start_matches("http://");
        let name = name.split('/').next().unwrap_or_default().to_owned();
        // Docker's own has three names.
        let is_hub = ["docker.io", "index.docker.io", "registry-1.docker.io"].contains(&name.as_str());
        if is_hub { "docker.io".to_owned() } else { name }
    };
    bare(registry) == bare(host)
}

#[tonic::async_trait]
impl Secrets for Session {
    async fn get_secret(&self, request: Request<GetSecretRequest>) -> Answer<GetSecretResponse> {
        let id = &request.get_ref().id;
        let secret = self.secrets.get(id).cloned();
        let data = secret.ok_or_else(|| Status::not_found(format!("`build.secrets` names no `{id}`")))?;
        Ok(Response::new(GetSecretResponse { data }))
    }
}

#[tonic::async_trait]
impl Ssh for Session {
    async fn check_agent(&self, request: Request<CheckAgentRequest>) -> Answer<CheckAgentResponse> {
        self.agent(&request.get_ref().id)?;
        Ok(Response::new(CheckAgentResponse {}))
    }

    type ForwardAgentStream = BoxStream<'static, Result<BytesMessage, Status>>;

    async fn forward_agent(&self, request: Request<Streaming<BytesMessage>>) -> Answer<Self::ForwardAgentStream> {
        let id = request.metadata().get("buildkit.ssh.id");
        let id = id.and_then(|id| id.to_str().ok()).unwrap_or_default();
        let (from, mut to) = UnixStream::connect(self.agent(id)?).await?.into_split();
        let mut asked = request.into_inner();
        // It ends with the step that asks, or with the agent.
        tokio::spawn(async move {
            while let Ok(Some(part)) = asked.message().await {
                if to.write_all(&part.data).await.is_err() {
                    break;
                }
            }
        });
        let answers = ReaderStream::new(from).map(|part| {
            let data = part?.to_vec();
            Ok(BytesMessage { data })
        });
        Ok(Response::new(answers.boxed()))
    }
}

#[cfg(test)]
mod tests {
    use super::is_for;

    #[test]
    fn a_login_is_for_its_registry_alone_and_dockers_own_has_three_names() {
        for (registry, host) in [
            ("https://index.docker.io/v1/", "registry-1.docker.io"),
            ("docker.io", "docker.io"),
            ("registry.example.com:5000", "registry.example.com:5000"),
            ("https://registry.example.com/v2/", "registry.example.com"),
        ] {
            assert!(is_for(registry, host), "{registry} {host}");
        }
        assert!(!is_for("registry.example.com", "registry.example.com:5000"));
        assert!(!is_for("https://index.docker.io/v1/", "registry.example.com"));
    }
}
