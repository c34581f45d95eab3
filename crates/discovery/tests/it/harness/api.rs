//! An HTTP server with a script: what it answers is up to the test.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// A request: its target and its fields.
#[derive(Clone, Debug)]
pub struct Asked {
    pub target: String,
    pub fields: Vec<String>,
}

impl Asked {
    /// The value of a parameter of the query.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let (_, query) = self.target.split_once('?')?;
        let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    }

    pub fn has(&self, field: &str) -> bool {
        self.fields.iter().any(|one| one == field)
    }
}

/// What a request is answered.
#[derive(Clone, Debug)]
pub enum Reply {
    /// Status, further fields, body.
    Whole(u16, String, String),
    /// These bytes, then the end.
    Raw(Vec<u8>),
    /// The head, then lines until the end.
    Lines(Vec<String>),
    /// The head, then lines; it stays open.
    Stream(Vec<String>),
    /// The head, then this again and again.
    Endless(&'static str),
    /// Nothing until the script says otherwise.
    Hold,
}

impl Reply {
    pub fn json(body: impl Into<String>) -> Self {
        Self::Whole(200, String::new(), body.into())
    }

    /// An answer as Consul gives it.
    pub fn consul(index: u64, body: impl Into<String>) -> Self {
        Self::Whole(200, format!("X-Consul-Index: {index}\r\n"), body.into())
    }
}

type Script = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// A running server; it ends with this value.
pub struct Api {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    script: watch::Sender<Script>,
    _serving: JoinSet<()>,
}

impl Api {
    pub async fn start(script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self::serve("127.0.0.1:0", None, script).await
    }

    /// With TLS.
    pub async fn start_tls(
        tls: TlsAcceptor,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve("127.0.0.1:0", Some(tls), script).await
    }

    /// Where one was before.
    pub async fn start_at(
        address: SocketAddr,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        Self::serve(&address.to_string(), None, script).await
    }

    async fn serve(
        address: &str,
        tls: Option<TlsAcceptor>,
        script: impl Fn(&Asked) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let script: Script = Arc::new(script);
        let (sender, receiver) = watch::channel(script);
        let noted = Arc::clone(&asked);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let (tls, noted, script) = (tls.clone(), Arc::clone(&noted), receiver.clone());
                connections.spawn(async move {
                    match tls {
                        None => answer(stream, &noted, script).await,
                        Some(tls) => {
                            let Ok(stream) = tls.accept(stream).await else {
                                return;
                            };
                            answer(stream, &noted, script).await;
                        }
                    }
                });
            }
        });
        Self {
            address,
            asked,
            script: sender,
            _serving: serving,
        }
    }

    /// From now on another script holds; who waits for an answer is answered by it.
    pub fn now(&self, script: impl Fn(&Asked) -> Reply + Send + Sync + 'static) {
        self.script.send_replace(Arc::new(script));
    }

    /// All requests so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    noted: &Mutex<Vec<Asked>>,
    mut script: watch::Receiver<Script>,
) {
    let mut stream = BufReader::new(stream);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        match stream.read_line(&mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) if line.trim().is_empty() => break,
            Ok(_) => lines.push(line.trim().to_owned()),
        }
    }
    let target = lines[0].split(' ').nth(1).unwrap().to_owned();
    let fields = lines.split_off(1);
    let asked = Asked { target, fields };
    noted.lock().unwrap().push(asked.clone());
    let reply = loop {
        let current = Arc::clone(&script.borrow_and_update());
        match current(&asked) {
            Reply::Hold => {
                if script.changed().await.is_err() {
                    return;
                }
            }
            reply => break reply,
        }
    };
    // Whoever asked may have left.
    let _ = write(&mut stream, reply, &mut script).await;
}

async fn write(
    stream: &mut (impl AsyncWrite + Unpin),
    reply: Reply,
    script: &mut watch::Receiver<Script>,
) -> std::io::Result<()> {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n";
    match reply {
        Reply::Whole(status, fields, body) => {
            let length = body.len();
            let head =
                format!("HTTP/1.1 {status} Whatever\r\nContent-Length: {length}\r\n{fields}\r\n");
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(body.as_bytes()).await?;
        }
        Reply::Raw(bytes) => stream.write_all(&bytes).await?,
        Reply::Lines(lines) => {
            stream.write_all(head.as_bytes()).await?;
            stream.write_all(lines.join("\n").as_bytes()).await?;
        }
        Reply::Stream(lines) => {
            stream.write_all(head.as_bytes()).await?;
            for line in lines {
                stream.write_all(format!("{line}\n").as_bytes()).await?;
            }
            stream.flush().await?;
            // Until the script changes: then the watch ends.
            let _ = script.changed().await;
        }
        Reply::Endless(piece) => {
            stream.write_all(head.as_bytes()).await?;
            loop {
                stream.write_all(piece.repeat(1000).as_bytes()).await?;
            }
        }
        Reply::Hold => {}
    }
    stream.flush().await?;
    tokio::time::timeout(Duration::from_secs(1), stream.shutdown()).await?
}
