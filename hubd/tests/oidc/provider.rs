//! A provider for the tests: real HTTP on loopback, real keys, and whatever it is told to do wrong.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::keys::{Key, encoded};

/// What the hub is called here, and proves it with.
pub(crate) const CLIENT: (&str, &str) = ("hubd at school", "s3cret/+ %");

/// Makes the token of a person: the provider's key and the claims as they should be.
pub(crate) type Forge = Arc<dyn Fn(&Key, Value) -> String + Send + Sync>;

/// A provider that runs until the test ends.
#[derive(Clone)]
pub(crate) struct Provider {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
}

/// What it does.
pub(crate) struct State {
    pub(crate) key: Key,
    /// How it makes tokens; honestly, if nothing is said.
    pub(crate) forge: Option<Forge>,
    /// What the userinfo endpoint answers.
    pub(crate) told: Value,
    /// More of the discovery document.
    pub(crate) more: Value,
    /// The status of the token endpoint's answers, and what they are if there is one.
    pub(crate) token_answer: Option<(u16, Value)>,
    /// Whether a code can be exchanged more than once.
    pub(crate) careless: bool,
    /// How often each path was asked for.
    pub(crate) asked: HashMap<String, usize>,
    codes: HashMap<String, Code>,
}

/// Who has signed in, and for which request.
#[derive(Clone)]
struct Code {
    person: Value,
    asked: BTreeMap<String, String>,
}

impl Provider {
    pub(crate) fn start(key: Key) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let provider = Self {
            address: listener.local_addr().expect("an address"),
            state: Arc::new(Mutex::new(State {
                key,
                forge: None,
                told: json!({}),
                more: json!({}),
                token_answer: None,
                careless: false,
                asked: HashMap::new(),
                codes: HashMap::new(),
            })),
        };
        let serving = provider.clone();
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let provider = serving.clone();
                thread::spawn(move || provider.serve(stream));
            }
        });
        provider
    }

    pub(crate) fn issuer(&self) -> String {
        format!("http://{}/realm", self.address)
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("a state")
    }

    /// What somebody does at the page that the hub has sent them to; where they go then, as a path of
    /// the hub. Their claims are `person`, with a `sub`.
    pub(crate) fn sign_in(&self, location: &str, person: Value) -> String {
        let url = Url::parse(location).expect("an address");
        let endpoint = format!("{}/authorize", self.issuer());
        assert!(location.starts_with(&format!("{endpoint}?")), "{location}");
        let asked: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
        for (name, expected) in [
            ("response_type", "code"),
            ("client_id", CLIENT.0),
            ("scope", "openid profile email"),
            ("code_challenge_method", "S256"),
        ] {
            assert_eq!(asked[name], expected, "{location}");
        }
        let back = Url::parse(&asked["redirect_uri"]).expect("an address");
        assert_eq!(back.path(), "/hub/oauth_callback");
        let (code, state) = (format!("code/{}", asked["nonce"]), asked["state"].clone());
        self.state()
            .codes
            .insert(code.clone(), Code { person, asked });
        let query = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("code", &code)
            .append_pair("state", &state)
            .finish();
        format!("{}?{query}", back.path())
    }

    fn serve(&self, mut stream: TcpStream) {
        let mut reader = BufReader::new(stream.try_clone().expect("a stream"));
        let mut head = Vec::new();
        let mut length = 0;
        let mut credentials = String::new();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line).unwrap_or_default() == 0 {
                return;
            }
            if line.trim().is_empty() {
                break;
            }
            let (name, value) = line.split_once(':').unwrap_or_default();
            match name.to_ascii_lowercase().as_str() {
                "content-length" => length = value.trim().parse().expect("a length"),
                "authorization" => value.trim().clone_into(&mut credentials),
                _ => {}
            }
            head.push(line);
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).expect("a body");
        let path = head[0].split(' ').nth(1).expect("a path").to_owned();
        let (status, answer) = self.answer(&path, &credentials, &body);
        let text = answer.to_string();
        let answer = format!(
            "HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{text}",
            text.len()
        );
        let _ = stream.write_all(answer.as_bytes());
    }

    fn answer(&self, path: &str, credentials: &str, body: &[u8]) -> (u16, Value) {
        let issuer = self.issuer();
        let mut state = self.state();
        *state.asked.entry(path.to_owned()).or_default() += 1;
        match path.strip_prefix("/realm").unwrap_or_default() {
            "/.well-known/openid-configuration" => {
                let mut document = json!({
                    "issuer": issuer,
                    "authorization_endpoint": format!("{issuer}/authorize"),
                    "token_endpoint": format!("{issuer}/token"),
                    "userinfo_endpoint": format!("{issuer}/userinfo"),
                    "jwks_uri": format!("{issuer}/keys"),
                    "response_types_supported": ["code"],
                    "subject_types_supported": ["public"],
                    "id_token_signing_alg_values_supported": ["RS256", "ES256", "HS256", "none"],
                });
                merge(&mut document, &state.more);
                (200, document)
            }
            "/keys" => (200, json!({"keys": [state.key.public()]})),
            "/token" => state.exchange(&issuer, credentials, body),
            "/userinfo" if credentials == "Bearer access" => (200, state.told.clone()),
            _ => (404, json!({})),
        }
    }
}

impl State {
    fn exchange(&mut self, issuer: &str, credentials: &str, body: &[u8]) -> (u16, Value) {
        if let Some(answer) = &self.token_answer {
            return answer.clone();
        }
        let form: BTreeMap<String, String> =
            url::form_urlencoded::parse(body).into_owned().collect();
        let quoted = |text: &str| -> String {
            url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
        };
        let client = format!("{}:{}", quoted(CLIENT.0), quoted(CLIENT.1));
        if credentials != format!("Basic {}", STANDARD.encode(client)) {
            return (401, json!({"error": "invalid_client"}));
        }
        let code = form.get("code").and_then(|code| self.codes.get(code));
        let Some(code) = code.cloned() else {
            return (400, json!({"error": "invalid_grant"}));
        };
        if !self.careless {
            self.codes.remove(&form["code"]);
        }
        let challenge = encoded(&Sha256::digest(&form["code_verifier"]));
        if code.asked["code_challenge"] != challenge
            || code.asked["redirect_uri"] != form["redirect_uri"]
            || form["grant_type"] != "authorization_code"
        {
            return (400, json!({"error": "invalid_grant"}));
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let now = now.expect("a clock").as_secs();
        let mut claims = json!({
            "iss": issuer, "aud": CLIENT.0, "iat": now, "exp": now + 300,
            "nonce": code.asked["nonce"],
        });
        merge(&mut claims, &code.person);
        let token = match &self.forge {
            Some(forge) => forge(&self.key, claims),
            None => self.key.sign(&self.key.header(), &claims),
        };
        let answer = json!({
            "access_token": "access", "token_type": "Bearer", "expires_in": 300, "id_token": token,
        });
        (200, answer)
    }
}

/// Adds the entries of one object to another.
pub(crate) fn merge(to: &mut Value, from: &Value) {
    let from = from.as_object().expect("an object").clone();
    to.as_object_mut().expect("an object").extend(from);
}
