//! A hostile server: the real one, with somebody in between who reads, changes and makes up answers.
//!
//! It speaks the wire's own types, so that a lie is as well formed as the truth. Whoever holds the
//! server can do all of this; what he cannot do is sign for a phone.

use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use hauspost_core::sync::{Connection, Hints, Https, Network, NetworkError, Request, Response};
use hauspost_protocol::encoding::{Item, decode, encode};
use hauspost_protocol::invitation::Trust;
use hauspost_protocol::wire::{SyncAnswer, path};
use tokio::sync::{Notify, mpsc};

type Instead = Box<dyn FnMut(&Request) -> Option<Result<Response, NetworkError>> + Send>;
type Change = Box<dyn FnMut(&mut Request) + Send>;
type Twist = Box<dyn FnMut(&Request, &mut Response) + Send>;

/// The network of a phone whose server lies. Honest until it is told what to do.
#[derive(Clone, Default)]
pub struct Hostile(Arc<Mutex<Lies>>);

#[derive(Default)]
struct Lies {
    instead: Option<Instead>,
    change: Option<(&'static str, Change)>,
    twist: Option<Twist>,
    lost: Option<&'static str>,
    held: Option<(&'static str, Held)>,
    held_back: Option<(&'static str, Held)>,
    silent: bool,
    /// Who may say something on the live streams that are open.
    streams: Vec<mpsc::UnboundedSender<Bytes>>,
    /// Rings when one more is open.
    opened: Arc<Notify>,
    /// How many lines were made up for them and not heard yet, and what rings when there are none.
    unheard: usize,
    heard: Arc<Notify>,
    /// All that the server said on them.
    said: Vec<u8>,
    answers: Vec<(String, Vec<u8>)>,
}

impl Hostile {
    /// As the network of a phone.
    pub fn network(&self) -> Arc<dyn Network> {
        Arc::new(self.clone())
    }

    /// Answers requests itself, wherever `answer` gives something; the server never hears of them.
    pub fn answers(
        &self,
        answer: impl FnMut(&Request) -> Option<Result<Response, NetworkError>> + Send + 'static,
    ) {
        self.0.lock().unwrap().instead = Some(Box::new(answer));
    }

    /// Answers requests of this path with these bytes.
    pub fn answers_with(&self, at: &'static str, body: impl Fn() -> Vec<u8> + Send + 'static) {
        self.answers(move |request| {
            request.path.starts_with(at).then(|| Ok(Response { status: 200, body: body() }))
        });
    }

    /// Changes the phone's requests of this path: then it is the phone that is hostile.
    pub fn changes_requests(
        &self,
        at: &'static str,
        change: impl FnMut(&mut Request) + Send + 'static,
    ) {
        self.0.lock().unwrap().change = Some((at, Box::new(change)));
    }

    /// Lets the server act on requests of this path, and loses its answers.
    pub fn loses_answers(&self, at: &'static str) {
        self.0.lock().unwrap().lost = Some(at);
    }

    /// Holds the next request of this path up on its way to the server.
    pub fn holds(&self, at: &'static str) -> Held {
        let held = Held::default();
        self.0.lock().unwrap().held = Some((at, held.clone()));
        held
    }

    /// Holds the server's next answer of this path up on its way to the phone.
    pub fn holds_back(&self, at: &'static str) -> Held {
        let held = Held::default();
        self.0.lock().unwrap().held_back = Some((at, held.clone()));
        held
    }

    /// Changes the server's answers of this path.
    pub fn twists<T: Item>(
        &self,
        at: &'static str,
        mut twist: impl FnMut(&mut T) + Send + 'static,
    ) {
        let twist: Twist = Box::new(move |request, response| {
            if request.path.starts_with(at) && response.status == 200 {
                let mut answer = decode(&response.body).unwrap();
                twist(&mut answer);
                response.body = encode(&answer);
            }
        });
        self.0.lock().unwrap().twist = Some(twist);
    }

    /// Changes the bytes that the server hands out at this path.
    pub fn twists_bytes(
        &self,
        at: &'static str,
        mut twist: impl FnMut(&mut Vec<u8>) + Send + 'static,
    ) {
        let twist: Twist = Box::new(move |request, response| {
            if request.path.starts_with(at) && response.status == 200 {
                twist(&mut response.body);
            }
        });
        self.0.lock().unwrap().twist = Some(twist);
    }

    /// Loses the server's answers to those requests of this path that are chosen.
    pub fn loses_chosen(
        &self,
        at: &'static str,
        mut chosen: impl FnMut(&Request) -> bool + Send + 'static,
    ) {
        let twist: Twist = Box::new(move |request, response| {
            if request.path.starts_with(at) && chosen(request) {
                response.status = 503;
            }
        });
        self.0.lock().unwrap().twist = Some(twist);
    }

    /// Changes what the server says is new.
    pub fn twists_news(&self, twist: impl FnMut(&mut SyncAnswer) + Send + 'static) {
        self.twists(path::SYNC, twist);
    }

    /// Keeps the live stream open and says nothing on it.
    pub fn keeps_silent(&self) {
        self.0.lock().unwrap().silent = true;
    }

    /// Says this on every live stream that is open.
    pub fn says(&self, line: &str) {
        let line = Bytes::from(format!("{line}\n"));
        let mut lies = self.0.lock().unwrap();
        lies.streams.retain(|stream| stream.send(line.clone()).is_ok());
        lies.unheard += lies.streams.len();
    }

    /// Waits until the phone has taken in all that was said so, on streams that stayed open.
    pub async fn was_heard(&self) {
        loop {
            let heard = {
                let lies = self.0.lock().unwrap();
                if lies.unheard == 0 {
                    return;
                }
                lies.heard.clone()
            };
            heard.notified().await;
        }
    }

    /// Waits until the server has a live stream of the phone.
    pub async fn listens(&self) {
        loop {
            let opened = {
                let mut lies = self.0.lock().unwrap();
                lies.streams.retain(|stream| !stream.is_closed());
                if !lies.streams.is_empty() {
                    return;
                }
                lies.opened.clone()
            };
            opened.notified().await;
        }
    }

    /// The lines that the server said on live streams and that say more than that there may be news.
    pub fn lines_said(&self) -> Vec<String> {
        let said = String::from_utf8(self.0.lock().unwrap().said.clone()).unwrap();
        said.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect()
    }

    /// How many requests of this path the server answered.
    pub fn asked(&self, at: &str) -> usize {
        let lies = self.0.lock().unwrap();
        lies.answers.iter().filter(|(path, _)| path.starts_with(at)).count()
    }

    /// Ends all lies.
    pub fn is_honest_again(&self) {
        let mut lies = self.0.lock().unwrap();
        lies.instead = None;
        lies.change = None;
        lies.twist = None;
        lies.lost = None;
        lies.held = None;
        lies.held_back = None;
        lies.silent = false;
    }

    /// Every answer that the server gave, with the path that was asked.
    pub fn answers_seen(&self) -> Vec<(String, Vec<u8>)> {
        self.0.lock().unwrap().answers.clone()
    }
}

/// A request, or its answer, that is held up.
#[derive(Clone, Default)]
pub struct Held {
    came: Arc<Notify>,
    released: Arc<Notify>,
}

impl Held {
    /// Waits until it was sent.
    pub async fn came(&self) {
        self.came.notified().await;
    }

    /// Lets it go on.
    pub fn release(&self) {
        self.released.notify_one();
    }

    async fn wait(self) {
        self.came.notify_one();
        self.released.notified().await;
    }
}

impl Network for Hostile {
    fn connect(&self, server: &str, trust: &Trust) -> Result<Arc<dyn Connection>, NetworkError> {
        let honest = Https.connect(server, trust)?;
        Ok(Arc::new(Between { honest, lies: self.0.clone() }))
    }
}

struct Between {
    honest: Arc<dyn Connection>,
    lies: Arc<Mutex<Lies>>,
}

impl Connection for Between {
    fn request(&self, mut request: Request) -> BoxFuture<'_, Result<Response, NetworkError>> {
        Box::pin(async move {
            let made_up = {
                let mut lies = self.lies.lock().unwrap();
                if let Some((at, change)) = &mut lies.change
                    && request.path.starts_with(*at)
                {
                    change(&mut request);
                }
                lies.instead.as_mut().and_then(|answer| answer(&request))
            };
            if let Some(made_up) = made_up {
                return made_up;
            }
            let is_held = |held: &mut (&'static str, Held)| request.path.starts_with(held.0);
            let held = self.lies.lock().unwrap().held.take_if(is_held);
            if let Some((_, held)) = held {
                held.wait().await;
            }
            let mut response = self.honest.request(request.clone()).await?;
            let held = self.lies.lock().unwrap().held_back.take_if(is_held);
            if let Some((_, held)) = held {
                held.wait().await;
            }
            let mut lies = self.lies.lock().unwrap();
            lies.answers.push((request.path.clone(), response.body.clone()));
            if lies.lost.is_some_and(|at| request.path.starts_with(at)) {
                return Err(NetworkError::Broken);
            }
            if let Some(twist) = &mut lies.twist {
                twist(&request, &mut response);
            }
            Ok(response)
        })
    }

    fn stream(&self, request: Request) -> BoxFuture<'_, Result<Hints, NetworkError>> {
        Box::pin(async move {
            if self.lies.lock().unwrap().silent {
                return Ok(futures_util::stream::pending().boxed());
            }
            let honest = self.honest.stream(request).await?;
            let (stream, made_up) = mpsc::unbounded_channel();
            let opened = {
                let mut lies = self.lies.lock().unwrap();
                lies.streams.push(stream);
                lies.opened.clone()
            };
            opened.notify_one();
            let from = (honest, made_up, self.lies.clone(), false);
            let lines = futures_util::stream::unfold(
                from,
                |(mut honest, mut made_up, lies, was)| async move {
                    // Whoever asks for the next line has taken in the one before.
                    if was {
                        let mut lies = lies.lock().unwrap();
                        lies.unheard -= 1;
                        if lies.unheard == 0 {
                            lies.heard.notify_one();
                        }
                    }
                    let (piece, is_made_up) = tokio::select! {
                        piece = honest.next() => {
                            if let Some(Ok(piece)) = &piece {
                                lies.lock().unwrap().said.extend_from_slice(piece);
                            }
                            (piece?, false)
                        }
                        Some(line) = made_up.recv() => (Ok(line), true),
                    };
                    Some((piece, (honest, made_up, lies, is_made_up)))
                },
            );
            Ok(lines.boxed())
        })
    }
}
