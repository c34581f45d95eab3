//! DNS, file, Consul and Kubernetes: each is used, lost, and missed at a restart.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustls::{ServerConfig, ServerConnection, StreamOwned};
use rustls_pki_types::PrivateKeyDer;
use rustls_pki_types::pem::PemObject;

use super::{discovered, lost, restart, saying, targets, wait_for_targets};
use crate::harness::{
    Authority, Load, Message, Setup, Upstream, Weir, Wire, answer, free_port, tool, wait_until,
};

/// The source is there, and two servers behind it: traffic goes to both. It is lost: traffic goes
/// on. Weir starts without it: traffic goes on.
fn survives(setup: Setup, settings: &str, servers: &[Upstream; 2], lose: impl FnOnce(&Weir)) {
    let config = discovered(settings);
    let weir = setup.start(&config);
    wait_for_targets(&weir, &[servers[0].address, servers[1].address]);
    let load = Load::keep_alive(weir.http(), 4, "ok");
    wait_until("both servers are used", || {
        servers.iter().all(|server| server.accepted() > 0)
    });
    lose(&weir);
    let error = lost(&weir);
    eprintln!("lost: {error}");
    assert_eq!(weir.metric("weir_discovery_up", &["upstream=\"up\""]), 0.0);
    assert_eq!(weir.metric("weir_discovery_targets{", &[]), 2.0);
    load.wait_for_more(200);
    load.finish();
    let log = weir.log();
    assert_eq!(log.matches("discovery source lost").count(), 1, "{log}");

    let (weir, _former) = restart(weir, &config);
    assert_eq!(weir.get("/").text(), "ok");
    assert_eq!(targets(&weir).len(), 2);
    lost(&weir);
    let load = Load::keep_alive(weir.http(), 4, "ok");
    load.wait_for_more(200);
    load.finish();
}

struct Dnsmasq(Child);

impl Dnsmasq {
    fn start(port: u16, options: &[String]) -> Self {
        let child = Command::new(tool("dnsmasq"))
            .args([
                "--keep-in-foreground",
                "--conf-file=/dev/null",
                "--pid-file",
            ])
            .args([
                "--no-resolv",
                "--no-hosts",
                "--user=",
                "--local=/weir.test/",
            ])
            .args(["--listen-address=127.0.0.1", "--bind-interfaces"])
            .arg(format!("--port={port}"))
            .args(options)
            .stdin(Stdio::null())
            .spawn()
            .unwrap();
        wait_until("dnsmasq serves", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self(child)
    }
}

impl Drop for Dnsmasq {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn dns() {
    let servers = [saying("ok"), saying("ok")];
    let ports = [servers[0].address.port(), servers[1].address.port()];
    let port = free_port();
    let options = [
        format!("--srv-host=_http._tcp.weir.test,a.weir.test,{}", ports[0]),
        format!("--srv-host=_http._tcp.weir.test,a.weir.test,{}", ports[1]),
        "--host-record=a.weir.test,127.0.0.1,1".to_owned(),
        "--local-ttl=1".to_owned(),
    ];
    let dns = Dnsmasq::start(port, &options);
    let settings = format!(
        "{{ dns: {{ name: _http._tcp.weir.test, record: srv, max_ttl: 1s, \
         servers: [\"127.0.0.1:{port}\"] }} }}"
    );
    survives(Setup::new(), &settings, &servers, |_| drop(dns));
}

#[test]
fn file() {
    let servers = [saying("ok"), saying("ok")];
    let setup = Setup::new();
    let list = format!("- {}\n- {}\n", servers[0].address, servers[1].address);
    setup.write("targets.yaml", list);
    survives(setup, "{ file: $DIR/targets.yaml }", &servers, |weir| {
        weir.replace_file("targets.yaml", "- 127.0.0.1:1\n- 127.");
    });
}

/// An API that answers first requests with a text, holds later ones, and can be turned into one that
/// fails.
struct Api {
    server: Upstream,
    fails: Arc<AtomicBool>,
}

impl Api {
    fn fail(&self) {
        self.fails.store(true, Ordering::SeqCst);
    }

    fn consul(first: Vec<u8>) -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&fails);
        let server = Upstream::new(move |wire| {
            serve(wire, &failing, &first, |target| {
                !target.contains("index=0&")
            });
        });
        Self { server, fails }
    }

    fn kubernetes(tls: Arc<ServerConfig>, first: Vec<u8>) -> Self {
        let fails = Arc::new(AtomicBool::new(false));
        let failing = Arc::clone(&fails);
        let server = Upstream::new(move |wire| {
            let connection = ServerConnection::new(Arc::clone(&tls)).unwrap();
            let wire = Wire::over(StreamOwned::new(connection, wire.stream));
            serve(wire, &failing, &first, |target| {
                target.contains("watch=true")
            });
        });
        Self { server, fails }
    }
}

fn serve<S: std::io::Read + std::io::Write>(
    mut wire: Wire<S>,
    fails: &AtomicBool,
    first: &[u8],
    waits: impl Fn(&str) -> bool,
) {
    let Some(request) = wire.request() else {
        return;
    };
    if waits(request.target()) {
        // Until there is something to say, which is that all is lost.
        wait_until("the API fails", || fails.load(Ordering::SeqCst));
    }
    if fails.load(Ordering::SeqCst) {
        wire.send(answer(500, &[("connection", "close")], "no leader"));
    } else {
        wire.send(first);
    }
}

#[test]
fn consul() {
    let servers = [saying("ok"), saying("ok")];
    let instances = servers.each_ref().map(|server| {
        let port = server.address.port();
        format!(r#"{{"Node": {{"Address": "127.0.0.1"}}, "Service": {{"Port": {port}}}}}"#)
    });
    let list = format!("[{}]", instances.join(","));
    let api = Api::consul(answer(200, &[("x-consul-index", "7")], list));
    let settings = format!(
        "{{ consul: {{ address: \"http://{}\", service: catalog }}, networks: [127.0.0.0/8] }}",
        api.server.address
    );
    survives(Setup::new(), &settings, &servers, |_| api.fail());
}

#[test]
fn kubernetes() {
    let servers = [saying("ok"), saying("ok")];
    let setup = Setup::new();
    let authority = Authority::new("cluster");
    let leaf = authority.issue("api", &["127.0.0.1"]);
    setup.write("ca.crt", authority.pem());
    setup.write("token", "canary-7f3a");
    // Two slices, since each has its own port.
    let slices = servers.each_ref().map(|server| {
        let port = server.address.port();
        format!(
            r#"{{"metadata": {{"name": "s{port}"}}, "ports": [{{"name": "http", "port": {port}}}],
                "endpoints": [{{"addresses": ["127.0.0.1"], "conditions": {{"ready": true}}}}]}}"#
        )
    });
    let list = format!(
        r#"{{"metadata": {{"resourceVersion": "7"}}, "items": [{}]}}"#,
        slices.join(",")
    );
    let api = Api::kubernetes(
        server_config(&leaf.certificate, &leaf.key),
        answer(200, &[], list),
    );
    let settings = format!(
        "{{ kubernetes: {{ api: \"https://{}\", namespace: shop, service: catalog, \
         token: $DIR/token, authorities: \"file:$DIR/ca.crt\" }} }}",
        api.server.address
    );
    survives(setup, &settings, &servers, |_| api.fail());
}

fn server_config(certificate: &str, key: &str) -> Arc<ServerConfig> {
    let chain = rustls_pki_types::CertificateDer::pem_slice_iter(certificate.as_bytes());
    let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.map(Result::unwrap).collect(), key)
        .unwrap();
    Arc::new(config)
}

#[test]
fn a_reload_moves_an_upstream_from_a_list_to_a_source_and_back() {
    let (first, second) = (saying("ok"), saying("ok"));
    let setup = Setup::new();
    setup.write("targets.yaml", format!("- {}\n", second.address));
    let listed = format!(
        "upstreams:\n  up: {{ targets: [\"{}\"] }}\n\
         routes:\n  - {{ name: all, match: {{ path: /* }}, upstream: up }}\n",
        first.address
    );
    let found = discovered("{ file: $DIR/targets.yaml }");
    let weir = setup.start(&listed);
    assert_eq!(weir.get("/").text(), "ok");
    assert_eq!(weir.reload(&found).status(), 200);
    wait_for_targets(&weir, &[second.address]);
    let load = Load::keep_alive(weir.http(), 4, "ok");
    // What is known stays over a reload that does not touch the source.
    assert_eq!(
        weir.reload(&format!("{found}drain_timeout: 3s\n")).status(),
        200
    );
    assert_eq!(targets(&weir), [second.address.to_string()]);
    load.wait_for_more(200);
    assert_eq!(weir.reload(&listed).status(), 200);
    assert_eq!(targets(&weir), [first.address.to_string()]);
    load.wait_for_more(200);
    load.finish();
    assert!(super::upstream(&weir)["discovery"].is_null());
}

#[test]
fn a_start_waits_for_the_first_word() {
    let server = saying("ok");
    let port = server.address.port();
    let list =
        format!(r#"[{{"Node": {{"Address": "127.0.0.1"}}, "Service": {{"Port": {port}}}}}]"#);
    let answers = Arc::new(AtomicBool::new(false));
    let answering = Arc::clone(&answers);
    let api = Upstream::new(move |mut wire| {
        wire.request();
        wait_until("it may answer", || answering.load(Ordering::SeqCst));
        wire.send(answer(200, &[("connection", "close")], &list));
    });
    let config = discovered(&format!(
        "{{ consul: {{ address: \"http://{}\", service: catalog }} }}",
        api.address
    ));
    let mut weir = Setup::new().spawn(&config);
    wait_until("the source is asked", || api.accepted() > 0);
    wait_until("the admin listener answers", || {
        Wire::try_connect(weir.setup().admin).is_ok()
    });
    assert_eq!(weir.ask("GET", "/readyz").status(), 503);
    answers.store(true, Ordering::SeqCst);
    weir.wait_ready();
    assert_eq!(weir.get("/").text(), "ok");
}

#[test]
fn without_a_target_there_is_an_answer_all_the_same() {
    let port = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = port.local_addr().unwrap();
    drop(port);
    let weir = Weir::start(&discovered(&format!(
        "{{ consul: {{ address: \"http://{address}\", service: catalog }} }}"
    )));
    assert!(lost(&weir).contains("cannot be reached"));
    let answer: Message = weir.get("/");
    assert_eq!(answer.status(), 503, "{answer:?}");
    assert!(Path::new(&weir.directory().join("data")).exists());
}
