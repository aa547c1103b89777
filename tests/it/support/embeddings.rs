//! A fake of a service that makes vectors: OpenAI's `POST /v1/embeddings` (API reference, "Create embeddings") as far as a
//! client with `encoding_format` left out meets it. It counts the texts that it was asked for.

use serde_json::{Value, json};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Numbers in its vectors.
pub(crate) const DIMENSIONS: usize = 8;

/// A running service; its thread ends with the process.
pub(crate) struct Embeddings {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Embeddings {
    pub(crate) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let counted = Arc::clone(&counted);
                std::thread::spawn(move || answer(client, &counted));
            }
        });
        Self { port, asked }
    }

    /// What `mlops.toml` says of it.
    pub(crate) fn config(&self) -> String {
        let url = format!("http://127.0.0.1:{}/v1", self.port);
        format!("[embedder]\nkind = \"endpoint\"\nurl = \"{url}\"\nmodel = \"m-1\"\ndimensions = {DIMENSIONS}\n")
    }

    /// Texts that it made vectors of.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// A vector that hangs on every letter of the text and on its place.
fn vector(text: &str) -> Vec<f64> {
    let mut vector = vec![1.0; DIMENSIONS];
    for (i, byte) in text.bytes().enumerate() {
        vector[i % DIMENSIONS] += f64::from(byte) * (1.0 + (i / DIMENSIONS % 13) as f64);
    }
    vector
}

fn answer(client: TcpStream, asked: &AtomicUsize) -> Option<()> {
    let mut reader = BufReader::new(client);
    let (mut length, mut line) = (0, String::new());
    while reader.read_line(&mut line).ok()? > 2 {
        if let Some((_, n)) = line.to_ascii_lowercase().split_once("content-length:") {
            length = n.trim().parse().ok()?;
        }
        line.clear();
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).ok()?;
    let texts: Vec<&str> = body["input"].as_array()?.iter().filter_map(Value::as_str).collect();
    asked.fetch_add(texts.len(), Ordering::SeqCst);
    let one = |(index, text): (usize, &&str)| json!({"object": "embedding", "index": index, "embedding": vector(text)});
    let data: Vec<Value> = texts.iter().enumerate().map(one).collect();
    let said =
        json!({"object": "list", "data": data, "model": "m-1", "usage": {"prompt_tokens": 1, "total_tokens": 1}}).to_string();
    let head = format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        said.len()
    );
    reader.into_inner().write_all((head + &said).as_bytes()).ok()
}
