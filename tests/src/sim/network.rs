//! The network between simulated phones and the server's application, without sockets.
//!
//! Each request meets a fate that the seed draws. Nothing runs by itself: a late request is delivered
//! before some later one, and another phone acts exactly where a request is under way.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::body::Body;
use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, StreamExt as _, TryStreamExt as _};
use hauspost_core::account::Account;
use hauspost_core::sync::{Connection, Hints, Method, Network, NetworkError, Request, Response};
use hauspost_protocol::crypto::SigningKey;
use hauspost_protocol::encoding::{Bytes, decode, encode};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::wire::{self, AppendRequest, Outcome, path};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};
use tokio::sync::Notify;
use tower::ServiceExt as _;

use super::trace::Trace;
use crate::bomb;

/// The longest answer, in bytes.
const ANSWER_BYTES: usize = 64 << 20;

/// How the network treats requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weather {
    /// Each is answered.
    Fair,
    /// So many of a hundred meet a fate.
    Rough(u32),
    /// Nobody is reached.
    Down,
}

/// What becomes of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Answered,
    LostBefore,
    LostAfter,
    Doubled,
    Late,
    Busy,
    KilledBefore,
    KilledAfter,
    /// Another phone, or this one's other half, acts while the request is under way.
    Meanwhile,
}

/// The network, shared by all phones.
pub struct Wire {
    state: Mutex<State>,
    trace: Trace,
}

struct State {
    server: Option<Router>,
    dice: StdRng,
    weather: Weather,
    kills: bool,
    /// Requests whose senders gave up and that are still on their way.
    late: Vec<Request>,
    /// Phones whose next commit is a bomb, with their signing keys.
    bombs: BTreeMap<usize, SigningKey>,
    /// How many were thrown.
    thrown: usize,
    /// Nobody is shown a GroupInfo.
    withheld: bool,
    /// An action that runs while a request is under way is itself not interrupted.
    nested: bool,
    phones: Vec<Option<Account>>,
    killed: Vec<Arc<Notify>>,
}

impl Wire {
    /// A network of this seed, without a phone yet.
    pub fn new(seed: u64, trace: Trace) -> Arc<Self> {
        let state = State {
            server: None,
            dice: StdRng::seed_from_u64(seed ^ 0x0ace_0fb1_0ba5_e000),
            weather: Weather::Fair,
            kills: false,
            late: Vec::new(),
            bombs: BTreeMap::new(),
            thrown: 0,
            withheld: false,
            nested: false,
            phones: Vec::new(),
            killed: Vec::new(),
        };
        Arc::new(Self { state: Mutex::new(state), trace })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a server behind the network, or takes it away.
    pub fn set_server(&self, server: Option<Router>) {
        self.state().server = server;
    }

    /// Changes how requests are treated, and whether phones may die in the middle of one.
    pub fn set_weather(&self, weather: Weather, kills: bool) {
        let mut state = self.state();
        (state.weather, state.kills) = (weather, kills);
    }

    /// The account of a phone that runs.
    pub fn account(&self, phone: usize) -> Option<Account> {
        self.state().phones[phone].clone()
    }

    /// Notes that a phone runs, or that it does not.
    pub fn set_account(&self, phone: usize, account: Option<Account>) {
        // The account before it is dropped outside of the lock: its store waits for its threads.
        let before = std::mem::replace(&mut self.state().phones[phone], account);
        drop(before);
    }

    /// One more phone, which does not run yet.
    pub fn add_phone(&self) {
        let mut state = self.state();
        state.phones.push(None);
        state.killed.push(Arc::default());
    }

    /// Rings when the network kills this phone.
    pub fn killed(&self, phone: usize) -> Arc<Notify> {
        self.state().killed[phone].clone()
    }

    /// Delivers all late requests, in an order that the seed draws.
    pub async fn deliver_late(&self) {
        while let Some(request) = self.take_late() {
            self.trace.add(format!("  late {}", request.path));
            let _ = self.deliver(request).await;
        }
    }

    fn take_late(&self) -> Option<Request> {
        let mut state = self.state();
        let count = state.late.len();
        if count == 0 {
            return None;
        }
        let place = state.dice.random_range(0..count);
        Some(state.late.swap_remove(place))
    }

    fn fate(&self, path: &str) -> Fate {
        let mut state = self.state();
        let rate = match state.weather {
            _ if state.nested => 0,
            Weather::Fair => 0,
            Weather::Down => return Fate::LostBefore,
            Weather::Rough(rate) => rate,
        };
        if rate == 0 || state.dice.random_range(0..100) >= rate {
            return Fate::Answered;
        }
        let kills = state.kills;
        match state.dice.random_range(0..100) {
            0..20 => Fate::LostBefore,
            20..45 => Fate::LostAfter,
            45..55 => Fate::Doubled,
            55..65 => Fate::Late,
            65..70 => Fate::Busy,
            70..75 if kills => Fate::KilledBefore,
            75..82 if kills => Fate::KilledAfter,
            _ if path.starts_with("/v1/") => Fate::Meanwhile,
            _ => Fate::Answered,
        }
    }

    /// The phone's next commit in a group is a bomb, signed by this key, which is its own.
    pub fn arm_bomb(&self, phone: usize, key: SigningKey) {
        self.state().bombs.insert(phone, key);
    }

    /// Nobody throws what he has not thrown yet.
    pub fn disarm_bombs(&self) {
        self.state().bombs.clear();
    }

    /// How many bombs were thrown.
    pub fn bombs_thrown(&self) -> usize {
        self.state().thrown
    }

    /// Whether the server shows nobody a GroupInfo.
    pub fn withholds_infos(&self) -> bool {
        self.state().withheld
    }

    /// Whether it does from now on.
    pub fn withhold_infos(&self, withheld: bool) {
        self.state().withheld = withheld;
    }

    /// Makes a bomb of what the phone sends, if it is armed and this can be one; the key that it took.
    fn throw_bomb(&self, phone: usize, request: &mut Request) -> Option<SigningKey> {
        if !request.path.starts_with(path::APPEND) {
            return None;
        }
        let mut state = self.state();
        let mut append = decode::<AppendRequest>(&request.body).ok()?;
        if !bomb::can_be(&append) {
            return None;
        }
        let key = state.bombs.remove(&phone)?;
        bomb::spoil(&mut append, &key);
        request.body = encode(&append);
        state.thrown += 1;
        self.trace.add(format!("  {phone} throws a bomb"));
        Some(key)
    }

    /// A bomb that the server did not take, as it was the update of a key, is thrown another time.
    fn may_throw_again(&self, phone: usize, key: SigningKey, answer: &Response) {
        let outcomes = decode::<Vec<Outcome>>(&answer.body).unwrap_or_default();
        if outcomes.iter().any(|outcome| matches!(outcome, Outcome::Budget(_))) {
            let mut state = self.state();
            state.thrown -= 1;
            state.bombs.insert(phone, key);
        }
    }

    /// Carries a request of a phone to its fate.
    async fn carry(&self, phone: usize, mut request: Request) -> Result<Response, NetworkError> {
        let bomb = self.throw_bomb(phone, &mut request);
        if self.withholds_infos() && request.path.starts_with(path::GROUP_INFO) {
            self.trace.add(format!("  {phone} {} withheld", request.path));
            return Ok(Response { status: 200, body: encode(&Vec::<Bytes>::new()) });
        }
        let fate = self.fate(&request.path);
        let what = format!("  {phone} {} {fate:?}", request.path);
        if fate != Fate::Answered
            && self.late_is_due()
            && let Some(late) = self.take_late()
        {
            self.trace.add(format!("  late {}", late.path));
            let _ = self.deliver(late).await;
        }
        let answer = match fate {
            Fate::Answered => self.deliver(request).await,
            Fate::LostBefore => Err(NetworkError::Unreachable),
            Fate::LostAfter => {
                let _ = self.deliver(request).await;
                Err(NetworkError::Broken)
            }
            Fate::Doubled => {
                let _ = self.deliver(request.clone()).await;
                self.deliver(request).await
            }
            Fate::Late => {
                self.state().late.push(request);
                Err(NetworkError::Timeout)
            }
            Fate::Busy => Ok(Response { status: 503, body: Vec::new() }),
            Fate::KilledBefore => return self.die(phone, what).await,
            Fate::KilledAfter => {
                let _ = self.deliver(request).await;
                return self.die(phone, what).await;
            }
            Fate::Meanwhile => {
                self.meanwhile(phone, &request.path).await;
                let answer = self.deliver(request).await;
                self.meanwhile(phone, path::HELLO).await;
                answer
            }
        };
        if let (Some(key), Ok(answer)) = (bomb, &answer) {
            self.may_throw_again(phone, key, answer);
        }
        match &answer {
            Ok(answer) => self.trace.add(format!("{what} {}", answer.status)),
            Err(error) => self.trace.add(format!("{what} {error:?}")),
        }
        answer
    }

    fn late_is_due(&self) -> bool {
        let mut state = self.state();
        !state.late.is_empty() && state.dice.random_range(0..3) == 0
    }

    async fn die(&self, phone: usize, what: String) -> Result<Response, NetworkError> {
        self.trace.add(what);
        self.killed(phone).notify_one();
        std::future::pending().await
    }

    /// Another phone pulls or sends while this phone's request is under way; where that cannot meet
    /// a lock that the phone itself holds over its request, it may be its own other half.
    async fn meanwhile(&self, phone: usize, path: &str) {
        let (who, pulls, account) = {
            let mut state = self.state();
            let count = state.phones.len();
            let mut who = state.dice.random_range(0..count);
            let mut pulls = state.dice.random_range(0..2) == 0;
            if who == phone {
                if path == path::APPEND {
                    pulls = true;
                } else {
                    who = (phone + 1) % count;
                }
            }
            if who == phone && path != path::APPEND {
                return;
            }
            let Some(account) = state.phones[who].clone() else { return };
            state.nested = true;
            (who, pulls, account)
        };
        // The types would be endless without a box.
        let acting: BoxFuture<'_, _> = match pulls {
            true => account.sync_all().boxed(),
            false => account.send_once().boxed(),
        };
        let done = acting.await.map_err(|error| error.code());
        self.state().nested = false;
        let verb = if pulls { "pulls" } else { "sends" };
        self.trace.add(format!("  meanwhile {who} {verb} {done:?}"));
    }

    async fn answer(&self, request: Request) -> Result<axum::response::Response, NetworkError> {
        let Some(server) = self.state().server.clone() else {
            return Err(NetworkError::Unreachable);
        };
        let mut builder =
            axum::http::Request::builder().uri(&request.path).method(match request.method {
                Method::Get => "GET",
                Method::Post => "POST",
                Method::Put => "PUT",
            });
        if request.method != Method::Get {
            builder = builder.header("content-type", wire::MEDIA_TYPE);
        }
        if let Some(bearer) = &request.bearer {
            builder = builder.header(wire::TOKEN_HEADER, bearer);
        }
        let request =
            builder.body(Body::from(request.body)).expect("paths and tokens are plain ASCII");
        match server.oneshot(request).await {
            Ok(answer) => Ok(answer),
            Err(never) => match never {},
        }
    }

    /// Hands a request to the server's application, and reads the whole answer.
    pub async fn deliver(&self, request: Request) -> Result<Response, NetworkError> {
        let answer = self.answer(request).await?;
        let status = answer.status().as_u16();
        let body = axum::body::to_bytes(answer.into_body(), ANSWER_BYTES).await;
        let body = body.map_err(|_| NetworkError::Broken)?.to_vec();
        Ok(Response { status, body })
    }
}

/// One phone's way into the network.
pub struct SimNetwork {
    /// The network.
    pub wire: Arc<Wire>,
    /// Whose way it is.
    pub phone: usize,
}

impl Network for SimNetwork {
    fn connect(&self, _: &str, _: &Trust) -> Result<Arc<dyn Connection>, NetworkError> {
        Ok(Arc::new(SimConnection { wire: self.wire.clone(), phone: self.phone }))
    }
}

struct SimConnection {
    wire: Arc<Wire>,
    phone: usize,
}

impl Connection for SimConnection {
    fn request(&self, request: Request) -> BoxFuture<'_, Result<Response, NetworkError>> {
        self.wire.carry(self.phone, request).boxed()
    }

    /// The simulation pulls by itself; whoever listens hears what waits for him just then.
    fn stream(&self, request: Request) -> BoxFuture<'_, Result<Hints, NetworkError>> {
        async {
            if self.wire.fate(&request.path) != Fate::Answered {
                return Err(NetworkError::Unreachable);
            }
            let answer = self.wire.answer(request).await?;
            if !answer.status().is_success() {
                return Err(NetworkError::Broken);
            }
            let lines = answer.into_body().into_data_stream();
            Ok(lines.map_err(|_| NetworkError::Broken).take(1).boxed())
        }
        .boxed()
    }
}
