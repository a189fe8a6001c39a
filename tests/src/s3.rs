//! A storage of Amazon S3's form on 127.0.0.1, in memory: it checks signatures as the real ones do, and fails
//! as they do when it is told to.
//!
//! Of our own, by the API reference (2006-03-01) and Signature Version 4: what the faults need, closed
//! connections and answers cut in the middle, no server library gives. It speaks HTTP/1.1 by hand and knows
//! PUT, GET with a range, DELETE and ListObjectsV2, which is all that `blobs::s3` asks for.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The access key that counts.
pub const KEY_ID: &str = "AKIAHAUSPOST";
/// Its secret.
pub const SECRET: &str = "a secret that is in no log";
/// The region that signatures name.
pub const REGION: &str = "eu-test-1";
/// The bucket that is there from the start.
pub const BUCKET: &str = "muster-gmbh";

const HEAD_BYTES: usize = 64 << 10;
const BODY_BYTES: usize = 16 << 20;

/// A request, as a fault is chosen by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The method.
    pub method: String,
    /// The object's name; empty for a list.
    pub key: String,
}

/// How a request goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// It is answered with this status and code, and nothing is done.
    Status(u16, &'static str),
    /// It is done, and the connection closed without an answer.
    LostAnswer,
    /// It is done, and half of the answer's body comes before the connection is closed.
    CutAnswer,
    /// It is done, and the answer names another ETag than the content's.
    WrongTag,
    /// Another content is read, of the same length.
    OtherContent,
}

type Faults = Box<dyn FnMut(&Asked) -> Option<Fault> + Send>;

/// A running storage; it ends with the value.
pub struct S3Server {
    address: SocketAddr,
    state: Arc<State>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct State {
    objects: Mutex<BTreeMap<String, Vec<u8>>>,
    asked: Mutex<Vec<Asked>>,
    faults: Mutex<Option<Faults>>,
    /// Names in one page of a list.
    page: Mutex<usize>,
}

impl S3Server {
    /// Starts one with an empty bucket.
    pub async fn start() -> Self {
        Self::start_at(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).await
    }

    /// Starts one at this address.
    pub async fn start_at(address: SocketAddr) -> Self {
        Self::start_behind(address, |stream| async { Some(stream) }).await
    }

    /// Starts one at this address whose connections pass this first, such as TLS; none goes no further.
    pub async fn start_behind<A, F, S>(address: SocketAddr, accept: A) -> Self
    where
        A: Fn(TcpStream) -> F + Send + 'static,
        F: Future<Output = Option<S>> + Send + 'static,
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(State { page: Mutex::new(1_000), ..State::default() });
        let served = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (accepted, served) = (accept(stream), Arc::clone(&served));
                tokio::spawn(async move {
                    if let Some(stream) = accepted.await {
                        serve(stream, served).await;
                    }
                });
            }
        });
        Self { address, state, task }
    }

    /// Ends it; when this returns nobody listens there any more.
    pub async fn stop(mut self) {
        self.task.abort();
        let _ = (&mut self.task).await;
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How it is named as an endpoint.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Lets requests go wrong from now on, as this says.
    pub fn fails(&self, fault: impl FnMut(&Asked) -> Option<Fault> + Send + 'static) {
        *self.state.faults.lock().unwrap() = Some(Box::new(fault));
    }

    /// Lets the next `times` requests of this method go wrong.
    pub fn fails_times(&self, method: &'static str, mut times: usize, fault: Fault) {
        self.fails(move |asked| {
            let fails = asked.method == method && times > 0;
            times -= usize::from(fails);
            fails.then(|| fault.clone())
        });
    }

    /// Lets nothing go wrong any more.
    pub fn is_well(&self) {
        *self.state.faults.lock().unwrap() = None;
    }

    /// Answers lists in pages of so many names.
    pub fn lists_in_pages_of(&self, names: usize) {
        *self.state.page.lock().unwrap() = names;
    }

    /// The names of all objects.
    pub fn names(&self) -> Vec<String> {
        self.state.objects.lock().unwrap().keys().cloned().collect()
    }

    /// Changes what is stored behind everybody's back.
    pub fn change(&self, change: impl FnOnce(&mut BTreeMap<String, Vec<u8>>)) {
        change(&mut self.state.objects.lock().unwrap());
    }

    /// What was asked since this was called last.
    pub fn asked(&self) -> Vec<Asked> {
        std::mem::take(&mut self.state.asked.lock().unwrap())
    }
}

impl Drop for S3Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request as it came.
struct Request {
    method: String,
    /// As it was written, encoded.
    path: String,
    query: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

struct Response {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Response {
    fn new(status: u16, body: Vec<u8>) -> Self {
        Self { status, headers: Vec::new(), body }
    }

    fn error(status: u16, code: &str) -> Self {
        // The real ones name the access key here.
        let body =
            format!("<Error><Code>{code}</Code><AWSAccessKeyId>{KEY_ID}</AWSAccessKeyId></Error>");
        Self::new(status, body.into_bytes())
    }
}

async fn serve(mut stream: impl AsyncRead + AsyncWrite + Unpin, state: Arc<State>) {
    let mut buffer = Vec::new();
    while let Some(request) = read(&mut stream, &mut buffer).await {
        let asked = Asked { method: request.method.clone(), key: key(&request.path) };
        state.asked.lock().unwrap().push(asked.clone());
        let fault = state.faults.lock().unwrap().as_mut().and_then(|fault| fault(&asked));
        let mut response = match &fault {
            Some(Fault::Status(status, code)) => Response::error(*status, code),
            _ => answer(&request, &state).unwrap_or_else(|refused| refused),
        };
        if fault == Some(Fault::OtherContent) {
            response.body.iter_mut().for_each(|byte| *byte ^= 1);
        }
        if fault == Some(Fault::WrongTag) {
            response.headers.retain(|(name, _)| *name != "ETag");
            response.headers.push(("ETag", "\"00000000000000000000000000000000\"".to_owned()));
        }
        if fault == Some(Fault::LostAnswer) {
            return;
        }
        let mut head = format!("HTTP/1.1 {} Test\r\n", response.status);
        for (name, value) in &response.headers {
            write!(head, "{name}: {value}\r\n").unwrap();
        }
        write!(head, "Content-Length: {}\r\n\r\n", response.body.len()).unwrap();
        let cut = fault == Some(Fault::CutAnswer);
        let body = &response.body[..response.body.len() / if cut { 2 } else { 1 }];
        let sent = async {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body).await
        };
        if sent.await.is_err() || cut {
            return;
        }
    }
}

/// The next request of a connection; `None` at its end.
async fn read(stream: &mut (impl AsyncRead + Unpin), buffer: &mut Vec<u8>) -> Option<Request> {
    let end = loop {
        if let Some(at) = buffer.windows(4).position(|four| four == b"\r\n\r\n") {
            break at;
        }
        if buffer.len() > HEAD_BYTES || stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    };
    let head = String::from_utf8(buffer[..end].to_vec()).ok()?;
    let mut lines = head.split("\r\n");
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let len: usize = headers.get("content-length").map_or(Some(0), |len| len.parse().ok())?;
    assert!(len <= BODY_BYTES && !headers.contains_key("transfer-encoding"), "{head}");
    buffer.drain(..end + 4);
    while buffer.len() < len {
        if stream.read_buf(buffer).await.ok()? == 0 {
            return None;
        }
    }
    let body = buffer.drain(..len).collect();
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    Some(Request { method, path: path.to_owned(), query: query.to_owned(), headers, body })
}

fn key(path: &str) -> String {
    path.trim_start_matches('/').split_once('/').map_or("", |(_, key)| key).to_owned()
}

fn answer(request: &Request, state: &State) -> Result<Response, Response> {
    check_signature(request)?;
    let bucket = request.path.trim_start_matches('/').split('/').next().unwrap_or_default();
    if bucket != BUCKET {
        return Err(Response::error(404, "NoSuchBucket"));
    }
    let key = key(&request.path);
    let mut objects = state.objects.lock().unwrap();
    match request.method.as_str() {
        "PUT" if !key.is_empty() => {
            let tag = tag(&request.body);
            objects.insert(key, request.body.clone());
            Ok(Response { headers: vec![("ETag", tag)], ..Response::new(200, Vec::new()) })
        }
        "DELETE" if !key.is_empty() => {
            objects.remove(&key);
            Ok(Response::new(204, Vec::new()))
        }
        "GET" if key.is_empty() => Ok(list(&request.query, &objects, *state.page.lock().unwrap())),
        "GET" => {
            let content = objects.get(&key).ok_or_else(|| Response::error(404, "NoSuchKey"))?;
            get(content, request.headers.get("range"))
        }
        _ => Err(Response::error(405, "MethodNotAllowed")),
    }
}

fn get(content: &[u8], range: Option<&String>) -> Result<Response, Response> {
    let mut headers = vec![("ETag", tag(content))];
    let Some(range) = range else {
        return Ok(Response { headers, ..Response::new(200, content.to_vec()) });
    };
    let unsatisfiable = || Response::error(416, "InvalidRange");
    let (from, to) = range.strip_prefix("bytes=").and_then(|range| range.split_once('-')).unwrap();
    let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
    let to = to.min(content.len().wrapping_sub(1));
    let part = content.get(from..=to).filter(|part| !part.is_empty()).ok_or_else(unsatisfiable)?;
    headers.push(("Content-Range", format!("bytes {from}-{to}/{}", content.len())));
    Ok(Response { headers, ..Response::new(206, part.to_vec()) })
}

fn tag(content: &[u8]) -> String {
    // Of the form of the real ones, which promise no hash either.
    format!("\"{}\"", &hex::encode(Sha256::digest(content))[..32])
}

/// ListObjectsV2: objects that begin with the prefix, and what is common up to the delimiter once.
fn list(query: &str, objects: &BTreeMap<String, Vec<u8>>, page: usize) -> Response {
    let query: BTreeMap<_, _> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), decoded(value)))
        .collect();
    let value = |name: &str| query.get(name).map(String::as_str).unwrap_or_default();
    assert_eq!(value("list-type"), "2");
    let (prefix, after) = (value("prefix"), value("continuation-token"));
    let mut entries: BTreeMap<String, Option<&Vec<u8>>> = BTreeMap::new();
    for (key, content) in objects.iter().filter(|(key, _)| key.starts_with(prefix)) {
        match key[prefix.len()..].split_once('/') {
            Some((folder, _)) if value("delimiter") == "/" => {
                entries.insert(format!("{prefix}{folder}/"), None);
            }
            _ => _ = entries.insert(key.clone(), Some(content)),
        }
    }
    let rest: Vec<_> = entries.iter().filter(|(name, _)| name.as_str() > after).collect();
    let mut xml = "<?xml version=\"1.0\"?><ListBucketResult>".to_owned();
    for (name, content) in rest.iter().take(page) {
        match content {
            Some(content) => write!(
                xml,
                "<Contents><Key>{name}</Key><LastModified>2026-11-26T04:02:00.000Z</LastModified>\
                 <ETag>{}</ETag><Size>{}</Size></Contents>",
                tag(content).replace('"', "&quot;"),
                content.len()
            ),
            None => write!(xml, "<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"),
        }
        .unwrap();
    }
    if let Some((name, _)) = rest.get(page.wrapping_sub(1)).filter(|_| rest.len() > page) {
        write!(xml, "<NextContinuationToken>{name}</NextContinuationToken>").unwrap();
    }
    xml.push_str("</ListBucketResult>");
    Response::new(200, xml.into_bytes())
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let code = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&code).unwrap(), 16).unwrap()
            }
            b'+' => b' ',
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}

/// Signature Version 4 over the request as it came, its body too.
fn check_signature(request: &Request) -> Result<(), Response> {
    let denied = |code| Response::error(403, code);
    let header = |name: &str| request.headers.get(name).cloned().unwrap_or_default();
    let authorization = header("authorization");
    let field = |name: &str| {
        let rest = authorization.split_once(name).map(|(_, rest)| rest);
        rest.and_then(|rest| rest.split([',', ' ']).next()).unwrap_or_default().to_owned()
    };
    let credential = field("Credential=");
    let Some((key_id, scope)) = credential.split_once('/') else {
        return Err(denied("AccessDenied"));
    };
    if key_id != KEY_ID {
        return Err(denied("InvalidAccessKeyId"));
    }
    let payload = header("x-amz-content-sha256");
    if payload != hex::encode(Sha256::digest(&request.body)) {
        return Err(Response::error(400, "XAmzContentSHA256Mismatch"));
    }
    let signed = field("SignedHeaders=");
    let mut pairs: Vec<_> = request.query.split('&').filter(|pair| !pair.is_empty()).collect();
    pairs.sort_unstable();
    let mut canonical = format!("{}\n{}\n{}\n", request.method, request.path, pairs.join("&"));
    for name in signed.split(';') {
        writeln!(canonical, "{name}:{}", header(name)).unwrap();
    }
    write!(canonical, "\n{signed}\n{payload}").unwrap();
    let hash = hex::encode(Sha256::digest(&canonical));
    let text = format!("AWS4-HMAC-SHA256\n{}\n{scope}\n{hash}", header("x-amz-date"));
    let mac = |key: &[u8], text: &str| {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        mac.update(text.as_bytes());
        mac.finalize().into_bytes().to_vec()
    };
    let date = scope.split('/').next().unwrap_or_default();
    if scope != format!("{date}/{REGION}/s3/aws4_request") {
        return Err(Response::error(400, "AuthorizationHeaderMalformed"));
    }
    let key = [date, REGION, "s3", "aws4_request"]
        .into_iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, text| mac(&key, text));
    let names_all = ["host", "x-amz-date", "x-amz-content-sha256"]
        .iter()
        .all(|name| signed.split(';').any(|known| known == *name));
    if !names_all || field("Signature=") != hex::encode(mac(&key, &text)) {
        return Err(denied("SignatureDoesNotMatch"));
    }
    Ok(())
}
