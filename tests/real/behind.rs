//! What happens to a container behind the hub's back. The hub polls once an hour here, so what it
//! notices it heard.

use std::time::Instant;

use http::Method;
use hub_tests::engine::{Engine, IMAGE};
use hub_tests::hub::TestHub;
use hub_tests::setup::{PASSWORD, Setup};

/// A server that is up at once, and ends as it is told.
const SERVER: &str = "
import http.server, os
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '0')
        self.end_headers()
        self.wfile.flush()
        if self.path.endswith('/exit'): os._exit(3)
        if self.path.endswith('/eat'):
            eaten = []
            while True: eaten.append(bytearray(1 << 20))
http.server.ThreadingHTTPServer(('', 8888), Server).serve_forever()
";

async fn hub(engine: &Engine) -> TestHub {
    Setup::new()
        .set("spawner.cmd", vec!["/opt/python/bin/python3", "-c", SERVER])
        .set("spawner.kind", "docker")
        .set("spawner.mem_limit", "64M")
        .set("spawner.docker.image", IMAGE)
        .set("spawner.docker.network_name", engine.network())
        .set("spawner.docker.prefix", engine.prefix())
        .set("spawner.docker.use_internal_ip", false)
        .start()
        .await
}

#[tokio::test]
async fn an_end_is_noticed_at_once_and_its_reason_is_on_the_page() {
    let Some(engine) = Engine::find() else { return };
    let hub = hub(&engine).await;
    let admin = hub.admin();
    admin.create(&["tee"]).await;
    let mut tee = hub.browser();
    tee.log_in("/hub/home", "tee", PASSWORD).await;
    for (act, words) in [
        ("kill", "signal 9 (SIGKILL)"),
        ("remove", "signal 9 (SIGKILL)"),
        ("/user/tee/exit", "exit code 3"),
        ("/user/tee/eat", "reached its memory limit"),
    ] {
        admin.start("tee").await;
        let container = engine.containers().pop().expect("one container");
        let began = match act {
            "kill" => engine.run(&["kill", &container]),
            "remove" => engine.run(&["rm", "--force", &container]),
            path => {
                let began = Instant::now();
                tee.fetch(Method::GET, path, None).await;
                began
            }
        };
        admin.until_stopped("tee").await;
        println!("{act}: in the hub's answers after {:?}", began.elapsed());
        let page = tee.get("/hub/spawn-pending/tee").await;
        assert!(page.words().contains(words), "{act}: {}", page.words());
        assert_eq!(engine.containers(), [""; 0], "{act}");
    }
}
