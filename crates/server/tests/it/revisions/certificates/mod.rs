//! Certificates beside the file, as clients of TLS and of the admin API meet them.

mod beside;
mod hostile;
mod life;
mod resuming;

use std::net::{SocketAddr, TcpStream};
use std::process::{Command, Stdio};

use rcgen::{CertificateParams, DnType, KeyPair};
use rustls::{ClientConnection, StreamOwned};
use rustls_pki_types::{CertificateDer, ServerName};
use serde_json::{Value, json};
use weir_testkit::Postgres;

use crate::api::Client;
use crate::harness::{Authority, Leaf, Message, Upstream, Wire, tool};

const SHOP: &str = "/v1/config/certificates/shop";

/// A listener without a certificate of its own.
const LISTENERS: &str = "listeners: [{ address: $HTTP }, { address: $HTTPS, tls: {} }]\n";

fn config(upstream: &Upstream, listeners: &str) -> String {
    format!(
        "{listeners}upstreams: {{ shop: {{ targets: [\"{}\"] }} }}\n\
         routes: [{{ name: all, match: {{ path: /* }}, upstream: shop }}]\n",
        upstream.address
    )
}

fn records(engine: &str) -> String {
    match engine {
        "sqlite" => String::new(),
        _ => format!(
            "records: {{ url: \"{}\" }}\n",
            Postgres::shared().database()
        ),
    }
}

fn document(leaf: &Leaf) -> Value {
    json!({"certificate": leaf.certificate, "key": leaf.key})
}

fn change(client: &Client, path: &str, document: &Value) -> Message {
    client.send("PUT", path, Some(document), "")
}

#[track_caller]
fn made(answer: &Message) -> Value {
    assert!([200, 201].contains(&answer.status()), "{}", answer.text());
    let made = answer.json();
    assert!(made["revision"].is_object(), "{made}");
    assert_eq!(made["in_effect"], true, "{made}");
    made
}

type TlsWire = Wire<StreamOwned<ClientConnection, TcpStream>>;

fn connect(authority: &Authority, address: SocketAddr, name: &'static str) -> TlsWire {
    let name = ServerName::try_from(name).unwrap();
    let client = ClientConnection::new(authority.trusting(&["http/1.1"]), name).unwrap();
    Wire::over(StreamOwned::new(client, Wire::connect(address).stream))
}

fn ask(wire: &mut TlsWire) {
    wire.send("GET / HTTP/1.1\r\nHost: shop.test\r\n\r\n");
    let answer = wire.response("GET");
    assert_eq!((answer.status(), answer.text()), (200, "fine".to_owned()));
}

/// The certificate that answers for a name.
fn served(
    authority: &Authority,
    address: SocketAddr,
    name: &'static str,
) -> CertificateDer<'static> {
    let mut wire = connect(authority, address, name);
    ask(&mut wire);
    let chain = wire.stream.conn.peer_certificates().unwrap();
    chain[0].clone().into_owned()
}

/// What `openssl s_client` says of a handshake.
fn s_client(address: SocketAddr, name: Option<&str>) -> String {
    let address = address.to_string();
    let mut command = Command::new(tool("openssl"));
    command
        .args(["s_client", "-connect", &address])
        .stdin(Stdio::null());
    match name {
        Some(name) => command.args(["-servername", name]),
        None => command.arg("-noservername"),
    };
    let output = command.output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

#[track_caller]
fn assert_unrecognized(address: SocketAddr, name: Option<&str>) {
    let said = s_client(address, name);
    assert!(said.contains("unrecognized name"), "{name:?}: {said}");
}

fn openssl(arguments: &[&str], pem: &str) -> String {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pem");
    std::fs::write(&file, pem).unwrap();
    let run = Command::new(tool("openssl"))
        .args(arguments)
        .arg("-in")
        .arg(file)
        .output();
    let run = run.unwrap();
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    String::from_utf8(run.stdout).unwrap()
}

/// A certificate of these parameters for `shop.test`.
fn self_signed(change: impl FnOnce(&mut CertificateParams)) -> (String, KeyPair) {
    let mut params = CertificateParams::new(vec!["shop.test".to_owned()]).unwrap();
    params.distinguished_name.push(DnType::CommonName, "shop");
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    (params.self_signed(&key).unwrap().pem(), key)
}
