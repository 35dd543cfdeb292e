//! BuildKit through the engine's own API, as `docker buildx` speaks to it: a build is one call and its log another, and
//! while it goes on BuildKit asks the session for files, secrets and logins.

mod attributes;
mod folder;
mod keys;
mod log;
mod session;

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use bollard_buildkit_proto::moby::buildkit::v1::control_client::ControlClient;
use bollard_buildkit_proto::moby::buildkit::v1::{SolveRequest, StatusRequest};
use hyper::Uri;
use hyper::header::HeaderMap;
use hyper::upgrade::Upgraded;
use tonic::transport::{Channel, Endpoint};

use super::super::Engine;
use super::super::image::ImageFacts;
use super::recipe::Recipe;
use super::wanted::{CommandFailed, Wanted, build_failure};
use crate::text::harmless::one_line;
use crate::world::model::{Build, BuildContext};
use keys::Keys;
use log::Log;
use session::Session;

/// One message holds a part of a log at most.
const MOST_BYTES: usize = 16 << 20;
/// The log ends with the build. One that does not is not waited for.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// An engine's BuildKit.
pub(super) struct Kit {
    control: ControlClient<Channel>,
}

impl Kit {
    /// `None` = this engine has none.
    ///
    /// # Errors
    /// The engine does not answer.
    pub async fn of(engine: &Engine) -> Result<Option<Self>> {
        let Some(stream) = engine.line.upgraded("/grpc", HeaderMap::new()).await? else {
            return Ok(None);
        };
        let control = ControlClient::new(channel(stream).await?).max_decoding_message_size(MOST_BYTES);
        Ok(Some(Self { control }))
    }

    /// Builds an image under a name. Whoever stops waiting ends the build.
    ///
    /// # Errors
    /// The build failed: the message ends in what the step that failed printed last, without its secrets.
    pub async fn build(&self, engine: &Engine, wanted: Wanted<'_>, recipe: &Recipe) -> Result<ImageFacts> {
        let keys = Keys::of(wanted.build)
            .await
            .map_err(|why| wanted.refused(&format!("{why:#}")))?;
        let session = Session::of(engine, wanted.build, recipe, &keys)?;
        let (open, mut log) = (session.open(&engine.line).await?, Log::without(session.secrets()));
        let id = session::random_id()?;
        let request = SolveRequest {
            r#ref: id.clone(),
            session: open.id.clone(),
            frontend: "dockerfile.v0".to_owned(),
            frontend_attrs: attributes::of(engine, wanted, recipe),
            exporter_deprecated: "moby".to_owned(),
            exporter_attrs_deprecated: [("name".to_owned(), wanted.tag().to_owned())].into(),
            entitlements: attributes::entitlements(wanted.build),
            ..SolveRequest::default()
        };
        self.solve(request, id, &mut log)
            .await
            .map_err(|error| failure(wanted, recipe, &log, &error))?;
        drop(open);
        engine
            .image(wanted.tag())
            .await?
            .with_context(|| format!("image `{}` is not there after building it", wanted.tag()))
    }

    /// The build, with its log beside it.
    async fn solve(&self, request: SolveRequest, id: String, log: &mut Log) -> Result<(), tonic::Status> {
        let (mut builder, mut teller) = (self.control.clone(), self.control.clone());
        let telling = async {
            let request = StatusRequest { r#ref: id };
            let Ok(answer) = teller.status(request).await else {
                return;
            };
            let mut told = answer.into_inner();
            while let Ok(Some(part)) = told.message().await {
                log.take(part);
            }
        };
        tokio::pin!(telling);
        let building = builder.solve(request);
        tokio::pin!(building);
        let built = tokio::select! {
            built = &mut building => built,
            () = &mut telling => return building.await.map(drop),
        };
        // What has not been told by then is left out.
        let _told = tokio::time::timeout(LAST_WORDS, telling).await;
        built.map(drop)
    }
}

/// Whose doing it is that nothing was built.
fn failure(wanted: Wanted<'_>, recipe: &Recipe, log: &Log, error: &tonic::Status) -> anyhow::Error {
    let words = one_line(&log.clean(error.message()));
    let last = log.last();
    // Older engines name the image in the step alone, newer ones in their words, too.
    let step = last.first().map_or("", String::as_str);
    if let Some(unavailable) = recipe.unavailable(step, &words) {
        return unavailable;
    }
    if let Some(why) = turned_down(wanted.build, &last, &words) {
        return wanted.refused(&why);
    }
    if !log.blames_a_command() {
        return build_failure(wanted.tag(), &last, &words);
    }
    let failed = CommandFailed {
        service: wanted.service.name.clone(),
        image: wanted.tag().to_owned(),
        words,
        log: last,
    };
    failed.into()
}

/// No step was begun, and there are contexts that only BuildKit reads: Docker 28.5 turns down what is no repository by two
/// words that name nothing. A URL may hold a password, so it is not told.
fn turned_down(build: &Build, last: &[String], words: &str) -> Option<String> {
    let contexts = build.contexts.iter();
    let others = contexts.filter(|(_, context)| matches!(context, BuildContext::Other(_)));
    let names: Vec<String> = others.map(|(name, _)| format!("`{name}`")).collect();
    (last.is_empty() && !names.is_empty()).then(|| {
        format!(
            "{}: this engine's builder does not take build.additional_contexts {}: {words}; fetch it before the run and name \
             the folder, or {}",
            build.place,
            names.join(", "),
            Build::BEFORE
        )
    })
}

/// gRPC over one connection that the engine has handed over.
async fn channel(stream: Upgraded) -> Result<Channel> {
    let mut stream = Some(stream);
    let only_once = move |_: Uri| {
        let stream = stream.take();
        async move { stream.ok_or_else(|| io::Error::other("the line to BuildKit was lost")) }
    };
    let end = Endpoint::from_static("http://buildkit");
    let channel = end.connect_with_connector(tower::service_fn(only_once)).await;
    channel.map_err(|error| anyhow!("BuildKit does not answer: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_context_that_the_builder_turns_down_is_named_with_its_place_and_without_its_password() {
        let build = |context: BuildContext| Build {
            contexts: [("more".to_owned(), context)].into(),
            place: "compose.yaml:3:5".to_owned(),
            ..Build::default()
        };
        let url = build(BuildContext::Other("https://me:pw@example.com/a.tar".to_owned()));
        let told = turned_down(&url, &[], "invalid argument").expect("nothing was begun");
        for words in ["compose.yaml:3:5", "`more`", "invalid argument", "name the folder"] {
            assert!(told.contains(words), "{told}");
        }
        assert!(!told.contains("pw"), "{told}");
        assert_eq!(turned_down(&url, &["[1/2] FROM a".to_owned()], "no route"), None);
        let image = build(BuildContext::Image("a".to_owned()));
        assert_eq!(turned_down(&image, &[], "no route"), None);
    }
}
