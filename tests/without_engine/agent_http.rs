//! The agent's two ends, driven against a small HTTP server on loopback.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use rehearsal::agent::client::Client;
use rehearsal::agent::exchange::{HttpAnswer, HttpCall};
use rehearsal::agent::failure::{CallFailure, CallFailureKind};
use rehearsal::agent::jar::CookieRule;
use rehearsal::agent::probe::{ProbeCall, Question};
use rehearsal::agent::serve::serve;
use rehearsal::agent::session::SessionCall;
use rehearsal::agent::wait::{Awaited, WaitCall};
use rehearsal::agent::{Answer, Call};
use rehearsal::config::settings::{Bearer, HttpExpect, Login, LoginExpect, LoginFields, SignInBy, TokenRequest};
use rehearsal::record::outcome::Outcome;
use rehearsal::suite::leaving::{After, Exit, Gone, Parting, Patience, sign_out};
use rehearsal::suite::login::{
    Kind, LoginOutcome, Session, UsedCode, protected_without_session, refresh, sign_in, sign_in_wrongly, use_code_again,
};
use rehearsal::suite::returning::{Received, come_back};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex, split};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// A request as the server read it.
struct Asked {
    method: String,
    path: String,
    headers: HashMap<String, String>,
    body: String,
}

impl Asked {
    fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }

    fn form(&self, name: &str) -> String {
        let pairs = url::form_urlencoded::parse(self.body.as_bytes());
        pairs
            .into_iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default()
    }
}

/// What the server does.
enum Do {
    Say(String),
    Hang,
    Cut,
}

fn say(status: u16, headers: &[&str], body: &str) -> Do {
    let mut text = format!(
        "HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n",
        body.len()
    );
    for header in headers {
        text += &format!("{header}\r\n");
    }
    Do::Say(format!("{text}\r\n{body}"))
}

async fn read(stream: &mut TcpStream) -> Option<Asked> {
    let mut raw = Vec::new();
    let head = loop {
        if let Some(end) = raw.windows(4).position(|four| four == b"\r\n\r\n") {
            break end;
        }
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    };
    let text = String::from_utf8(raw[..head].to_vec()).ok()?;
    let mut lines = text.lines();
    let mut first = lines.next()?.split(' ');
    let (method, path) = (first.next()?.to_owned(), first.next()?.to_owned());
    let pairs = lines.filter_map(|line| line.split_once(": "));
    let headers: HashMap<_, _> = pairs
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length: usize = headers
        .get("content-length")
        .and_then(|length| length.parse().ok())
        .unwrap_or(0);
    while raw.len() < head + 4 + length {
        if stream.read_buf(&mut raw).await.ok()? == 0 {
            return None;
        }
    }
    let body = String::from_utf8_lossy(&raw[head + 4..]).into_owned();
    Some(Asked {
        method,
        path,
        headers,
        body,
    })
}

/// Serves each connection once. Ends with the test's runtime.
async fn server(answer: impl Fn(Asked) -> Do + Send + Sync + 'static) -> SocketAddr {
    server_on("127.0.0.1:0", answer).await
}

/// The same on an address of its own, and so another site.
async fn server_on(address: &str, answer: impl Fn(Asked) -> Do + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind(address).await.unwrap();
    let address = listener.local_addr().unwrap();
    let answer = Arc::new(answer);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let answer = answer.clone();
            tokio::spawn(async move {
                let Some(asked) = read(&mut stream).await else { return };
                match answer(asked) {
                    Do::Say(text) => {
                        let _ = stream.write_all(text.as_bytes()).await;
                        let _ = stream.shutdown().await;
                    }
                    Do::Hang => std::future::pending().await,
                    Do::Cut => {}
                }
            });
        }
    });
    address
}

fn agent() -> Client {
    let (ours, theirs) = duplex(64 * 1024);
    let (reader, writer) = split(theirs);
    tokio::spawn(serve(reader, writer));
    let (reader, writer) = split(ours);
    Client::over(reader, writer)
}

fn call(method: &str, url: String) -> HttpCall {
    HttpCall {
        session: "s".to_owned(),
        method: method.to_owned(),
        url,
        timeout_ms: 10_000,
        ..HttpCall::default()
    }
}

async fn http(client: &Client, call: HttpCall) -> HttpAnswer {
    match client.call(Call::Http(call)).await.unwrap() {
        Answer::Http(answer) => answer,
        other => panic!("{other:?}"),
    }
}

async fn failure(client: &Client, call: HttpCall) -> String {
    match client.call(Call::Http(call)).await.unwrap() {
        Answer::Failed(CallFailure { kind, .. }) => kind.to_string(),
        other => panic!("{other:?}"),
    }
}

fn body(answer: &HttpAnswer) -> String {
    String::from_utf8(BASE64_STANDARD.decode(&answer.body).unwrap()).unwrap()
}

#[tokio::test]
async fn a_session_keeps_its_cookies_and_a_fork_has_its_own() {
    let at = server(|asked| match asked.path.as_str() {
        "/set" => say(
            302,
            &["Location: /show", "Set-Cookie: a=1; Path=/", "Set-Cookie: b=2; Path=/"],
            "",
        ),
        "/more" => say(200, &["Set-Cookie: a=9; Path=/"], ""),
        _ => say(200, &[], asked.header("cookie")),
    })
    .await;
    let client = agent();
    let first = http(
        &client,
        HttpCall {
            follow: 5,
            ..call("GET", format!("http://{at}/set"))
        },
    )
    .await;
    assert_eq!(body(&first), "a=1; b=2");
    assert_eq!(
        first.trail,
        [(302, format!("http://{at}/set")), (200, format!("http://{at}/show"))]
    );
    assert_eq!(
        first.cookies,
        [("a".to_owned(), "1".to_owned()), ("b".to_owned(), "2".to_owned())]
    );
    client
        .call(Call::Session(SessionCall::Fork {
            from: "s".to_owned(),
            to: "t".to_owned(),
        }))
        .await
        .unwrap();
    http(
        &client,
        HttpCall {
            session: "t".to_owned(),
            ..call("GET", format!("http://{at}/more"))
        },
    )
    .await;
    assert_eq!(
        body(&http(&client, call("GET", format!("http://{at}/show"))).await),
        "a=1; b=2"
    );
    client
        .call(Call::Session(SessionCall::Close {
            session: "s".to_owned(),
        }))
        .await
        .unwrap();
    assert_eq!(body(&http(&client, call("GET", format!("http://{at}/show"))).await), "");
}

#[tokio::test]
async fn a_redirected_post_becomes_a_get_or_stays_one_as_its_status_says() {
    let at = server(|asked| match asked.path.as_str() {
        "/302" | "/303" | "/301" | "/307" | "/308" => {
            say(asked.path[1..].parse().unwrap(), &["Location: /end"], "moved")
        }
        _ => say(
            200,
            &[],
            &format!("{} {} {}", asked.method, asked.body, asked.header("content-type")),
        ),
    })
    .await;
    let client = agent();
    for (status, expected) in [
        (301, "GET  "),
        (302, "GET  "),
        (303, "GET  "),
        (307, "POST x text/a"),
        (308, "POST x text/a"),
    ] {
        let asked = HttpCall {
            follow: 3,
            body: Some(BASE64_STANDARD.encode("x")),
            headers: vec![("Content-Type".to_owned(), "text/a".to_owned())],
            ..call("POST", format!("http://{at}/{status}"))
        };
        assert_eq!(body(&http(&client, asked).await), expected, "{status}");
    }
}

#[tokio::test]
async fn credentials_do_not_follow_to_another_origin_and_redirects_end() {
    let other = server(|asked| say(200, &[], asked.header("authorization"))).await;
    let at = server(move |asked| match asked.path.as_str() {
        "/away" => say(302, &[&format!("Location: http://{other}/")], ""),
        "/near" => say(302, &["Location: /echo"], ""),
        "/loop" => say(302, &["Location: /loop"], ""),
        _ => say(200, &[], asked.header("authorization")),
    })
    .await;
    let client = agent();
    let with = |path: &str| HttpCall {
        follow: 4,
        headers: vec![("Authorization".to_owned(), "Basic eA==".to_owned())],
        ..call("GET", format!("http://{at}{path}"))
    };
    assert_eq!(body(&http(&client, with("/near")).await), "Basic eA==");
    assert_eq!(body(&http(&client, with("/away")).await), "");
    let looped = http(&client, with("/loop")).await;
    assert_eq!((looped.status, looped.trail.len()), (302, 5));
}

#[tokio::test]
async fn failures_are_told_apart() {
    let at = server(|asked| match asked.path.as_str() {
        "/hang" => Do::Hang,
        "/cut" => Do::Cut,
        "/half" => Do::Say("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf".to_owned()),
        _ => Do::Say("SMTP ready\r\n\r\n".to_owned()),
    })
    .await;
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let client = agent();
    let hang = HttpCall {
        timeout_ms: 50,
        ..call("GET", format!("http://{at}/hang"))
    };
    assert_eq!(failure(&client, hang).await, "timeout");
    assert_eq!(failure(&client, call("GET", format!("http://{at}/cut"))).await, "reset");
    assert_eq!(
        failure(&client, call("GET", format!("http://{at}/half"))).await,
        "reset"
    );
    assert_eq!(
        failure(&client, call("GET", format!("http://{at}/mail"))).await,
        "protocol"
    );
    let plain = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let no_tls = plain.local_addr().unwrap();
    tokio::spawn(async move { plain.accept().await.unwrap().0.write_all(b"220 mail ready\r\n").await });
    assert_eq!(failure(&client, call("GET", format!("https://{no_tls}/"))).await, "tls");
    assert_eq!(
        failure(&client, call("GET", format!("http://{free}/"))).await,
        "connect"
    );
    assert_eq!(failure(&client, call("GET", "ftp://x/".to_owned())).await, "request");
    assert_eq!(
        failure(&client, call("GET", "http://no-such-name.invalid/".to_owned())).await,
        "dns"
    );
}

#[tokio::test]
async fn a_probe_asks_on_time_while_earlier_questions_hang() {
    let (asked, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Notify::new()));
    let at = server({
        let (asked, seen) = (asked.clone(), seen.clone());
        move |_| {
            let number = asked.fetch_add(1, Ordering::SeqCst);
            seen.notify_one();
            if number == 0 { Do::Hang } else { say(200, &[], "ok") }
        }
    })
    .await;
    let client = agent();
    let start = ProbeCall::Start {
        probe: "p".to_owned(),
        asks: Question::Get(format!("http://{at}/")),
        interval_ms: 10,
        timeout_ms: 300,
    };
    client.call(Call::Probe(start)).await.unwrap();
    while asked.load(Ordering::SeqCst) < 5 {
        seen.notified().await;
    }
    let stop = || Call::Probe(ProbeCall::Stop { probe: "p".to_owned() });
    client.call(stop()).await.unwrap();
    let samples = client.samples("p").await.unwrap();
    assert!(samples.len() >= 5, "{samples:?}");
    assert!(samples.is_sorted_by_key(|sample| sample.at_ms));
    assert_eq!(samples[0].failure, Some(CallFailureKind::Timeout));
    assert!(samples[0].done_ms - samples[0].at_ms >= 300);
    assert!(
        samples[1..5].iter().all(|sample| sample.status == Some(200)),
        "{samples:?}"
    );
    let again = client.call(stop()).await.unwrap();
    assert!(matches!(again, Answer::Failed(_)));
}

#[tokio::test]
async fn waits_end_with_the_wanted_answer_or_with_the_last_one() {
    let asked = AtomicUsize::new(0);
    let at = server(move |_| {
        say(
            if asked.fetch_add(1, Ordering::SeqCst) < 2 {
                503
            } else {
                200
            },
            &[],
            "",
        )
    })
    .await;
    let client = agent();
    let ask = |statuses: Vec<u16>, deadline_ms| {
        Call::Wait(WaitCall::Http {
            url: format!("http://{at}/"),
            reached_at: None,
            statuses,
            deadline_ms,
        })
    };
    // A busy machine may not have heard a single answer within the first of these.
    for deadline_ms in (0..).map(|doubled| 500 << doubled) {
        let never = client.call(ask(vec![418], deadline_ms)).await.unwrap();
        let Answer::Awaited(Awaited { after_ms: None, last }) = never else {
            panic!("{never:?}")
        };
        if last.starts_with("status ") {
            break;
        }
    }
    let good = client.call(ask(vec![200], 10_000)).await.unwrap();
    assert!(matches!(good, Answer::Awaited(Awaited { after_ms: Some(_), last }) if last == "status 200"));
    let port = |port| {
        Call::Wait(WaitCall::Tcp {
            host: "127.0.0.1".to_owned(),
            ports: vec![port],
            deadline_ms: 200,
        })
    };
    assert!(matches!(
        client.call(port(at.port())).await.unwrap(),
        Answer::Awaited(Awaited { after_ms: Some(_), .. })
    ));
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(matches!(
        client.call(port(free.port())).await.unwrap(),
        Answer::Awaited(Awaited { after_ms: None, .. })
    ));
}

/// A Django-like application: CSRF cookie and field, Referer check, a session for who has signed in.
fn django(asked: Asked, broken: bool) -> Do {
    let cookies = asked.header("cookie").to_owned();
    let signed_in = cookies.contains("sessionid=0123456789abcdef");
    match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", "/account") if signed_in => say(200, &["Content-Type: text/html"], "hello alice"),
        ("GET", "/account" | "/login") => say(302, &["Location: /auth/?next=/account&state=abcdefgh12345678"], ""),
        ("GET", path) if path.starts_with("/auth/") => say(
            200,
            &["Content-Type: text/html", "Set-Cookie: csrftoken=tok&en; Path=/"],
            r#"<form method="post"><input type="hidden" name="csrfmiddlewaretoken" value="tok&amp;en">
               <input name="username"><input type="password" name="password"><input type="submit" value="Log in"></form>"#,
        ),
        ("POST", path) if path.starts_with("/auth/") => {
            let is_from_here = asked.header("referer").ends_with(path);
            if asked.form("csrfmiddlewaretoken") != "tok&en" || !cookies.contains("csrftoken=tok&en") || !is_from_here {
                return say(
                    403,
                    &["Content-Type: text/html"],
                    "<title>CSRF verification failed</title>",
                );
            }
            if (asked.form("username").as_str(), asked.form("password").as_str()) != ("alice", "pass w&rd") {
                return say(
                    200,
                    &["Content-Type: text/html"],
                    r#"<form method="post"><input type="password"></form>"#,
                );
            }
            say(
                302,
                &[
                    "Location: /callback?code=secretcode123",
                    "Set-Cookie: sessionid=0123456789abcdef; Path=/",
                ],
                "",
            )
        }
        ("GET", "/callback?code=secretcode123") if broken => {
            say(500, &["Content-Type: text/html"], "<title>Server Error</title>")
        }
        ("GET", "/callback?code=secretcode123") => say(302, &["Location: /"], ""),
        _ => say(404, &[], "no root page"),
    }
}

fn login(at: SocketAddr, password: &str) -> Login {
    Login {
        start: format!("http://{at}/login"),
        expect: LoginExpect {
            get: format!("http://{at}/account"),
            expect: HttpExpect::default(),
        },
        username: "alice".to_owned(),
        password: password.to_owned(),
        fields: LoginFields::default(),
        by: Default::default(),
        headers: Vec::new(),
        tls: Default::default(),
    }
}

#[tokio::test]
async fn a_user_signs_in_through_a_csrf_form() {
    let at = server(|asked| django(asked, false)).await;
    let client = agent();
    let login = login(at, "pass w&rd");
    let without = protected_without_session(&client, &login, "fresh", &[]).await;
    assert!(without.held(), "{without:?}");
    let outcome = sign_in(&client, &login, "user", &[]).await;
    assert!(outcome.held(), "{outcome:?}");
    assert_eq!(outcome.trail.last(), Some(&format!("200 GET http://{at}/account")));
    assert!(
        outcome.secrets.contains(&"0123456789abcdef".to_owned()),
        "{:?}",
        outcome.secrets
    );
    assert!(
        outcome.secrets.contains(&"secretcode123".to_owned()),
        "{:?}",
        outcome.secrets
    );
    assert!(
        !format!("{:?}", outcome.trail).contains("secretcode123"),
        "{:?}",
        outcome.trail
    );
    assert_eq!(
        body(
            &http(
                &client,
                HttpCall {
                    session: "user".to_owned(),
                    ..call("GET", format!("http://{at}/account"))
                }
            )
            .await
        ),
        "hello alice"
    );
}

#[tokio::test]
async fn a_page_open_to_everyone_proves_no_sign_in() {
    let at = server(|_| say(200, &[], "welcome")).await;
    let outcome = protected_without_session(&agent(), &login(at, "x"), "fresh", &[]).await;
    assert!(!outcome.held());
    assert!(
        outcome.message().contains("answered 200 without a session"),
        "{}",
        outcome.message()
    );
}

#[tokio::test]
async fn a_page_that_does_not_answer_without_a_session_is_neither_open_nor_closed() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let at = closed.local_addr().expect("an address");
    drop(closed);
    let outcome = protected_without_session(&agent(), &login(at, "x"), "fresh", &[]).await;
    let lost = outcome.came_to.lost().expect("nobody can tell");
    assert!(lost.why.contains("got no answer"), "{lost}");
}

#[tokio::test]
async fn a_refused_password_and_a_page_without_a_form_are_told_by_their_hop() {
    let at = server(|asked| django(asked, false)).await;
    let refused = sign_in(&agent(), &login(at, "wrong"), "user", &[]).await;
    assert!(!refused.held());
    assert!(
        refused
            .message()
            .contains("with the sign-in form again: the sign-in was refused"),
        "{}",
        refused.message()
    );
    let broken = server(|_| say(500, &["Content-Type: text/html"], "<title>Oops</title>")).await;
    let outcome = sign_in(&agent(), &login(broken, "x"), "user", &[]).await;
    assert_eq!(
        outcome.message(),
        format!("GET http://{broken}/login answered 500 (“Oops”)")
    );
    let Outcome::Broke(trouble) = &outcome.came_to else {
        panic!("{outcome:?}")
    };
    assert_eq!(trouble.url, Some(format!("http://{broken}/login")));
    assert_eq!(trouble.status, Some(500));
}

#[tokio::test]
async fn an_error_on_the_way_back_explains_a_sign_in_that_failed() {
    let at = server(|asked| match asked.path.as_str() {
        "/account" => say(302, &["Location: /login"], ""),
        _ => django(asked, true),
    })
    .await;
    let outcome = sign_in(&agent(), &login(at, "pass w&rd"), "user", &[]).await;
    assert_eq!(
        outcome.message(),
        format!("GET http://{at}/callback?code=*** answered 500 (“Server Error”)")
    );
}

/// A release that shows its way in at whatever address somebody asks for who is not signed in, by 200.
async fn inline(takes: &'static str, holds: bool) -> SocketAddr {
    let html = "Content-Type: text/html";
    let way_in = r#"<form method="post" action="/login"><input name="u"><input type="password" name="p"></form>"#;
    server(move |asked| {
        let is_in = holds && asked.header("cookie").contains("sid=0123456789abcdef");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("POST", _) if asked.form("p") == takes => say(
                303,
                &["Location: /account", "Set-Cookie: sid=0123456789abcdef; Path=/"],
                "",
            ),
            ("GET", "/account") if is_in => say(
                200,
                &[html],
                "hello <form method=post><input type=password name=old></form>",
            ),
            _ => say(200, &[html], way_in),
        }
    })
    .await
}

#[tokio::test]
async fn a_way_in_at_200_is_no_protected_page() {
    let at = inline("wonderland", true).await;
    let (client, login) = (agent(), login(at, "wonderland"));
    let stranger = protected_without_session(&client, &login, "stranger", &[]).await;
    assert!(stranger.held(), "{stranger:?}");
    let right = sign_in(&client, &login, "user", &[]).await;
    assert!(right.held(), "{right:?}");
    let back = come_back(&client, &login, &right.left, "back", &[]).await;
    assert_eq!(back.came_to, Outcome::Held(Received::Known));
    let wrong = sign_in_wrongly(&client, &login, "wrong", &[])
        .await
        .expect("a password decides");
    assert!(!wrong.held(), "{wrong:?}");
    // Its sessions have ended.
    let nobody = Session {
        jar: "nobody".to_owned(),
        ..right.left
    };
    let back = come_back(&client, &login, &nobody, "back", &[]).await;
    assert!(
        matches!(back.came_to, Outcome::Held(Received::Anew(_))),
        "{:?}",
        back.came_to
    );
}

#[tokio::test]
async fn a_release_that_shows_its_way_in_to_whoever_has_signed_in_signs_nobody_in() {
    let at = inline("wonderland", false).await;
    let outcome = sign_in(&agent(), &login(at, "wonderland"), "user", &[]).await;
    assert!(
        outcome.message().contains("answered 200 with the sign-in form"),
        "{outcome:?}"
    );
}

/// The page after the sign-in signs out by a form that a script sends when somebody presses a link.
async fn with_a_scripted_way_out(action: &'static str) -> SocketAddr {
    let html = "Content-Type: text/html";
    let is_in = AtomicUsize::new(0);
    server(move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("POST", "/login") => {
            is_in.store(1, Ordering::Relaxed);
            say(303, &["Location: /account"], "")
        }
        ("POST", _) => {
            is_in.store(0, Ordering::Relaxed);
            say(303, &["Location: /login"], "")
        }
        ("GET", "/account") if is_in.load(Ordering::Relaxed) == 1 => say(
            200,
            &[html],
            &format!(
                "<form id=f method=post action={action}><input type=hidden name=csrf value=t></form>\
                 <script>function go() {{ document.getElementById('f').submit() }}</script>"
            ),
        ),
        ("GET", "/account") => say(302, &["Location: /login"], ""),
        _ => say(
            200,
            &[html],
            "<form method=post><input name=u><input type=password name=p></form>",
        ),
    })
    .await
}

#[tokio::test]
async fn nobody_is_passed_on_from_the_protected_page_or_by_a_form_that_signs_out() {
    for action in ["/logout", "/leave"] {
        let at = with_a_scripted_way_out(action).await;
        let outcome = sign_in(&agent(), &login(at, "x"), "user", &[]).await;
        assert!(outcome.held(), "{action}: {outcome:?}");
    }
}

/// A provider on a site of its own that answers by a page which posts itself to the application, the user's name and the
/// password asked on two pages.
async fn provider() -> SocketAddr {
    let html = "Content-Type: text/html";
    server_on("127.0.0.2:0", move |asked| match (asked.method.as_str(), asked.path.as_str()) {
        ("GET", _) => say(200, &[html], r#"<form method="post" action="/user"><input name="user"></form>"#),
        ("POST", "/user") => say(
            200,
            &[html, "Referrer-Policy: same-origin"],
            r#"<form method="post" action="/password"><input name="user" value="alice"><input type="password" name="p"></form>"#,
        ),
        ("POST", _) => {
            let back = format!("http://{}/callback", asked.form("user").replace("alice", "").replace('@', ""));
            let page = format!(
                r#"<body onload="document.forms[0].submit()"><form method="post" action="{back}"><input type="hidden" name="state" value="s1"></form>"#
            );
            say(200, &[html], &page)
        }
        _ => say(404, &[], ""),
    })
    .await
}

/// An application whose session cookie says what it is told to say.
async fn application(provider: SocketAddr, says: &'static str) -> SocketAddr {
    server(move |asked| {
        let is_known = asked.header("cookie").contains("sid=0123456789abcdef");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/account") if asked.header("cookie").contains("user=alice") => say(200, &[], "hello alice"),
            ("POST", "/callback") if is_known => {
                say(303, &["Location: /account", "Set-Cookie: user=alice; SameSite=Lax"], "")
            }
            ("POST", "/callback") => say(400, &["Content-Type: text/html"], "<title>state is lost</title>"),
            _ => {
                let to = format!("Location: http://{provider}/authorize");
                let cookie = format!("Set-Cookie: sid=0123456789abcdef; Path=/{says}");
                say(302, &[&to, &cookie], "")
            }
        }
    })
    .await
}

async fn signs_in_to(says: &'static str) -> LoginOutcome {
    let at = application(provider().await, says).await;
    let login = Login {
        username: format!("alice@{at}"),
        ..login(at, "wonderland")
    };
    sign_in(&agent(), &login, "user", &[]).await
}

#[tokio::test]
async fn a_cookie_without_samesite_goes_along_with_a_form_that_another_site_posts_and_the_reader_is_told() {
    let outcome = signs_in_to("").await;
    assert!(outcome.held(), "{outcome:?}");
    assert_eq!(outcome.remarks.len(), 1, "{:?}", outcome.remarks);
    let told = &outcome.remarks[0];
    assert!(
        told.contains("`sid` says no SameSite") && told.contains("first two minutes"),
        "{told}"
    );
}

#[tokio::test]
async fn a_lax_cookie_stays_away_from_a_form_that_another_site_posts_and_is_named_as_the_cause() {
    let outcome = signs_in_to("; SameSite=Lax").await;
    let Outcome::Broke(trouble) = &outcome.came_to else {
        panic!("{outcome:?}")
    };
    assert_eq!(trouble.kind, Kind::Cookie(CookieRule::SameSite));
    let told = &trouble.message;
    assert!(
        told.starts_with("no browser sends the cookie `sid` (SameSite=Lax) with POST http://127.0.0.1:"),
        "{told}"
    );
    assert!(
        told.contains("to which a page of http://127.0.0.2:") && told.contains("state is lost"),
        "{told}"
    );
}

/// An application behind a balancer that ends TLS, asked without it: what its session cookie says is all that differs.
async fn signs_in_without_tls(says: &'static str) -> LoginOutcome {
    let mut at = server(move |asked| {
        let is_known = asked.header("cookie").contains("sid=0123456789abcdef");
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/account") if is_known => say(200, &[], "hello alice"),
            ("GET", "/account") => say(303, &["Location: /login"], ""),
            ("GET", _) => say(
                200,
                &["Content-Type: text/html"],
                r#"<form method="post" action="/in"><input name="u"><input type="password" name="p"></form>"#,
            ),
            _ => {
                let cookie = format!("Set-Cookie: sid=0123456789abcdef; Path=/{says}");
                say(303, &["Location: /account", &cookie], "")
            }
        }
    })
    .await;
    // Browsers trust this machine's own addresses without TLS, and this is another name for one.
    at.set_ip(std::net::Ipv4Addr::UNSPECIFIED.into());
    sign_in(&agent(), &login(at, "x"), "user", &[]).await
}

#[tokio::test]
async fn a_secure_cookie_over_plain_http_is_named_as_the_cause_and_an_ordinary_one_signs_in() {
    let outcome = signs_in_without_tls("; HttpOnly; SameSite=Lax").await;
    assert!(outcome.held(), "{outcome:?}");
    for says in ["; Secure", "; HttpOnly; Secure; SameSite=Lax"] {
        let outcome = signs_in_without_tls(says).await;
        let Outcome::Broke(trouble) = &outcome.came_to else {
            panic!("{outcome:?}")
        };
        assert_eq!(trouble.kind, Kind::Cookie(CookieRule::Secure));
        let wanted = "a `Secure` cookie (sid) was set over plain http, so nobody sends it back: POST http://0.0.0.0:";
        assert!(trouble.message.starts_with(wanted), "{}", trouble.message);
    }
}

#[tokio::test]
async fn a_cookie_of_another_hosts_domain_is_named_as_the_cause_alone_and_beside_another_rule() {
    for says in ["; Domain=shop.example.com", "; Secure; Domain=shop.example.com"] {
        let outcome = signs_in_without_tls(says).await;
        let Outcome::Broke(trouble) = &outcome.came_to else {
            panic!("{outcome:?}")
        };
        assert_eq!(trouble.kind, Kind::Cookie(CookieRule::Domain), "{says}");
        let wanted = "no browser keeps the cookie `sid` (Domain=shop.example.com): POST http://0.0.0.0:";
        assert!(trouble.message.starts_with(wanted), "{}", trouble.message);
    }
}

#[tokio::test]
async fn a_cookie_that_is_kept_back_without_deciding_anything_is_not_blamed() {
    let at = server(|asked| match asked.path.as_str() {
        "/login" => say(
            200,
            &["Content-Type: text/html", "Set-Cookie: extra=1; SameSite=None"],
            r#"<form method="post" action="/in"><input name="u"><input type="password" name="p"></form>"#,
        ),
        _ => say(500, &["Content-Type: text/html"], "<title>Oops</title>"),
    })
    .await;
    let outcome = sign_in(&agent(), &login(at, "x"), "user", &[]).await;
    assert_eq!(outcome.message(), format!("POST http://{at}/in answered 500 (“Oops”)"));
}

#[tokio::test]
async fn a_sign_in_page_that_only_a_script_fills_is_named_as_such() {
    for page in [
        r#"<div id="root"></div><script src="/app.js"></script>"#,
        r#"<input type="password"><script>go()</script>"#,
        r#"<form id="f"><input name="u"><input type="password" name="p"></form><script>hook()</script>"#,
    ] {
        let at = server(move |_| say(200, &["Content-Type: text/html"], page)).await;
        let outcome = sign_in(&agent(), &login(at, "x"), "user", &[]).await;
        let Outcome::Broke(trouble) = &outcome.came_to else {
            panic!("{page}: {outcome:?}")
        };
        assert_eq!(trouble.kind, Kind::Script, "{page}: {}", trouble.message);
        let wanted = "the sign-in page of 127.0.0.1 needs JavaScript: use a test container";
        assert!(trouble.message.starts_with(wanted), "{}", trouble.message);
    }
}

/// An interface that takes a user's name and password, a token or a proxy's word, and a token endpoint beside it.
fn interface(asked: Asked) -> Do {
    let by = asked.header("authorization");
    let json = "Content-Type: application/json";
    let is_client = by == format!("Basic {}", BASE64_STANDARD.encode("my%2Fshop:s%3Acret"));
    match asked.path.as_str() {
        "/token" if asked.form("grant_type") == "client_credentials" && is_client => say(
            200,
            &[json],
            r#"{"access_token":"token-of-the-shop","token_type":"Bearer"}"#,
        ),
        "/token" if asked.form("username") == "alice" && asked.form("password") == "wonderland" => say(
            200,
            &[json],
            r#"{"access_token":"token-of-alice","token_type":"Bearer"}"#,
        ),
        "/token" => say(400, &[json], r#"{"error":"invalid_grant"}"#),
        _ => {
            let basic = format!("Basic {}", BASE64_STANDARD.encode("alice:wonderland"));
            let known = [basic.as_str(), "Bearer token-of-the-shop", "Bearer token-of-alice"];
            match known.contains(&by) || asked.header("x-user") == "alice" {
                true => say(200, &[], "hello"),
                false => say(401, &[], ""),
            }
        }
    }
}

#[tokio::test]
async fn a_sign_in_without_pages_says_who_it_is_as_it_is_told_and_a_stranger_is_refused() {
    let at = server(interface).await;
    let request = |secret: Option<&str>, id: &str| TokenRequest {
        url: format!("http://{at}/token"),
        client_id: id.to_owned(),
        client_secret: secret.map(str::to_owned),
        scope: None,
    };
    let client = agent();
    for (by, wrongly) in [
        (SignInBy::Basic, Some(false)),
        (SignInBy::Header, None),
        (SignInBy::Bearer(Bearer::Token("token-of-alice".to_owned())), None),
        (
            SignInBy::Bearer(Bearer::ClientCredentials(request(Some("s:cret"), "my/shop"))),
            None,
        ),
        (
            SignInBy::Bearer(Bearer::PasswordGrant(request(None, "shop"))),
            Some(false),
        ),
    ] {
        let headers = match by {
            SignInBy::Header => vec![("X-User".to_owned(), "alice".to_owned())],
            _ => Vec::new(),
        };
        let login = Login {
            by: by.clone(),
            headers,
            ..login(at, "wonderland")
        };
        let stranger = protected_without_session(&client, &login, "stranger", &[]).await;
        assert!(stranger.held(), "{by:?}: {stranger:?}");
        let outcome = sign_in(&client, &login, "user", &[]).await;
        assert!(outcome.held(), "{by:?}: {outcome:?}");
        let wrong = sign_in_wrongly(&client, &login, "wrong", &[]).await;
        assert_eq!(wrong.map(|outcome| outcome.held()), wrongly, "{by:?}");
    }
}

#[tokio::test]
async fn a_token_that_is_not_given_out_is_told_with_the_endpoints_word() {
    let at = server(interface).await;
    let request = TokenRequest {
        url: format!("http://{at}/token"),
        client_id: "shop".to_owned(),
        ..TokenRequest::default()
    };
    let by = SignInBy::Bearer(Bearer::ClientCredentials(request));
    let outcome = sign_in(&agent(), &Login { by, ..login(at, "") }, "user", &[]).await;
    assert_eq!(
        outcome.message(),
        format!("POST http://{at}/token answered 400: invalid_grant")
    );
}

/// A release that keeps in a cookie for which way back it waits, and a product that takes each code once, if it does.
async fn with_codes(takes: usize) -> SocketAddr {
    let html = "Content-Type: text/html";
    let (number, uses) = (AtomicUsize::new(0), AtomicUsize::new(0));
    server(move |asked| {
        let cookies = asked.header("cookie").to_owned();
        match (asked.method.as_str(), asked.path.split('?').next().unwrap_or_default()) {
            ("GET", "/account") if cookies.contains("sid=0123456789abcdef") => say(200, &[], "hello"),
            ("GET", "/account" | "/start") => {
                let state = format!("state-{}", number.fetch_add(1, Ordering::Relaxed));
                let cookie = format!("Set-Cookie: waits={state}; Path=/");
                say(302, &[&format!("Location: /authorize?state={state}"), &cookie], "")
            }
            ("GET", "/authorize") => {
                let state = asked.path.rsplit('=').next().unwrap_or_default();
                let form = format!(
                    "<form method=post action=/in><input type=hidden name=state value={state}><input name=u>\
                     <input type=password name=p></form>"
                );
                say(200, &[html], &form)
            }
            ("POST", "/in") => {
                let to = format!("Location: /callback?code=0123456789&state={}", asked.form("state"));
                say(303, &[&to], "")
            }
            ("GET", "/callback") => {
                let state = asked.path.rsplit('=').next().unwrap_or_default();
                let is_awaited = cookies.contains(&format!("waits={state}"));
                match is_awaited && uses.fetch_add(1, Ordering::Relaxed) < takes {
                    true => say(
                        303,
                        &["Location: /account", "Set-Cookie: sid=0123456789abcdef; Path=/"],
                        "",
                    ),
                    false => say(400, &[html], "<title>no</title>"),
                }
            }
            _ => say(404, &[], ""),
        }
    })
    .await
}

#[tokio::test]
async fn a_code_is_used_again_from_a_window_that_still_waits_for_it() {
    for (takes, taken) in [(1, false), (2, true)] {
        let at = with_codes(takes).await;
        let login = Login {
            start: format!("http://{at}/start"),
            ..login(at, "x")
        };
        let again = use_code_again(&agent(), &login, "code", &[]).await;
        match again.came_to {
            Outcome::Held(UsedCode::Taken) => assert!(taken),
            Outcome::Held(UsedCode::Refused(_)) => assert!(!taken),
            other => panic!("{takes}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn where_nobody_signs_in_or_no_code_comes_none_is_used_again() {
    let at = with_codes(0).await;
    let login = login(at, "x");
    let start = format!("http://{at}/start");
    let again = use_code_again(&agent(), &Login { start, ..login }, "code", &[]).await;
    assert!(matches!(again.came_to, Outcome::Broke(_)), "{:?}", again.came_to);
    let at = server(|asked| django(asked, false)).await;
    let again = use_code_again(&agent(), &self::login(at, "pass w&rd"), "code", &[]).await;
    assert_eq!(again.came_to, Outcome::Held(UsedCode::NoCode));
}

/// What a release does with the session of who signs out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum AtLogout {
    Ends,
    ForgetsTheCookie,
    DoesNothing,
    Fails,
}

/// Sessions are kept on the server's side. The account has a form by which users sign out, behind which one asks once more, and
/// one by which they change their password.
async fn with_sessions(does: AtLogout) -> SocketAddr {
    let (sessions, number) = (
        std::sync::Mutex::new(std::collections::BTreeSet::new()),
        AtomicUsize::new(0),
    );
    server(move |asked| {
        let html = "Content-Type: text/html";
        let sid = asked
            .header("cookie")
            .rsplit_once("sid=")
            .map(|(_, sid)| sid.to_owned());
        let mut sessions = sessions.lock().expect("nobody panics with it");
        let is_in = sid.as_ref().is_some_and(|sid| sessions.contains(sid));
        let gone = "Set-Cookie: sid=; Path=/; Max-Age=0";
        match (asked.method.as_str(), asked.path.as_str()) {
            ("GET", "/account") if is_in => say(
                200,
                &[html],
                "hello <form method=post action=/leave><button>Sign out</button></form><form method=post action=/password>\
                 <input type=password name=old><input type=password name=new></form>",
            ),
            ("GET", "/account") => say(302, &["Location: /login"], ""),
            ("GET", "/login") => say(
                200,
                &[html],
                "<form method=post><input name=u><input type=password name=p></form>",
            ),
            ("POST", "/login") => {
                let sid = format!("session-{}-0123456789", number.fetch_add(1, Ordering::Relaxed));
                sessions.insert(sid.clone());
                say(303, &["Location: /", &format!("Set-Cookie: sid={sid}; Path=/")], "")
            }
            ("POST", "/leave") => say(
                200,
                &[html],
                "<form method=post action=/logout><button>Yes</button></form>",
            ),
            ("GET" | "POST", "/logout") => {
                if let (AtLogout::Ends, Some(sid)) = (does, &sid) {
                    sessions.remove(sid);
                }
                match does {
                    AtLogout::DoesNothing => say(303, &["Location: /"], ""),
                    AtLogout::Fails => say(500, &[html], ""),
                    AtLogout::Ends | AtLogout::ForgetsTheCookie => say(303, &["Location: /", gone], ""),
                }
            }
            _ => say(200, &[html], "welcome"),
        }
    })
    .await
}

async fn signed_out(at: SocketAddr, exit: &Exit) -> Gone {
    let signed_out = sign_out(
        &agent(),
        &login(at, "x"),
        ("out", exit),
        &[],
        Patience::of_both(Duration::ZERO),
    )
    .await;
    match signed_out.came_to {
        Outcome::Held(Parting::Left(gone)) => gone,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn whoever_signs_out_by_what_the_page_shows_is_out_and_so_is_who_has_kept_the_cookie() {
    use AtLogout::{DoesNothing, Ends, Fails, ForgetsTheCookie};
    let (given, ended) = (After::Given(200), After::Ended(302));
    for (does, way, window, copy) in [
        (Ends, 200, ended, ended),
        (ForgetsTheCookie, 200, ended, given),
        (DoesNothing, 200, given, given),
        (Fails, 500, given, given),
    ] {
        let at = with_sessions(does).await;
        let gone = signed_out(at, &Exit::Shown).await;
        assert_eq!(gone.by, format!("POST http://{at}/leave"));
        assert_eq!((gone.way, gone.window, gone.copy), (Some(way), window, copy));
        let address = format!("http://{at}/logout");
        let gone = signed_out(at, &Exit::Issuers(address)).await;
        assert_eq!((gone.window, gone.copy), (window, copy));
    }
}

#[tokio::test]
async fn where_nothing_leads_out_that_is_said() {
    let at = server(|asked| django(asked, false)).await;
    let login = login(at, "pass w&rd");
    let signed_out = sign_out(
        &agent(),
        &login,
        ("out", &Exit::Shown),
        &[],
        Patience::of_both(Duration::ZERO),
    )
    .await;
    let says = format!("http://{at}/account shows no link or form by which to sign out");
    assert_eq!(signed_out.came_to, Outcome::Held(Parting::NoWay(says)));
}

/// Tokens that are refreshed once each; another word than `new` is refused.
fn refreshing(asked: Asked) -> Do {
    let json = "Content-Type: application/json";
    let grant = (asked.form("grant_type"), asked.form("refresh_token"));
    match (asked.path.as_str(), grant.0.as_str(), grant.1.as_str()) {
        ("/token", "refresh_token", "refresh-me") => say(200, &[json], r#"{"access_token":"new"}"#),
        ("/token", "refresh_token", _) => say(400, &[json], r#"{"error":"invalid_grant"}"#),
        ("/token", ..) => say(200, &[json], r#"{"access_token":"first","refresh_token":"refresh-me"}"#),
        _ => match asked.header("authorization") {
            "Bearer first" | "Bearer new" => say(200, &[], "hello"),
            _ => say(401, &[], ""),
        },
    }
}

#[tokio::test]
async fn a_token_is_refreshed_by_what_came_with_it() {
    let at = server(refreshing).await;
    let request = TokenRequest {
        url: format!("http://{at}/token"),
        client_id: "shop".to_owned(),
        ..TokenRequest::default()
    };
    let login = Login {
        by: SignInBy::Bearer(Bearer::PasswordGrant(request)),
        ..login(at, "x")
    };
    let client = agent();
    let mut left = sign_in(&client, &login, "user", &[]).await.left;
    let refreshed = refresh(&client, &login, &left, &[])
        .await
        .expect("something came with it");
    assert!(refreshed.held(), "{refreshed:?}");
    assert!(
        refreshed
            .left
            .headers
            .contains(&("Authorization".to_owned(), "Bearer new".to_owned()))
    );
    left.refresh_token = Some("of somebody else".to_owned());
    let refused = refresh(&client, &login, &left, &[])
        .await
        .expect("something came with it");
    assert_eq!(
        refused.message(),
        format!("POST http://{at}/token answered 400: invalid_grant")
    );
    left.refresh_token = None;
    assert!(refresh(&client, &login, &left, &[]).await.is_none());
}
