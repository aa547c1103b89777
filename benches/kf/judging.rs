//! What judging costs beside the judge: 1,000 rows by a rubric and by faithfulness, 64 requests under way, every answer kept in the
//! cache. The service answers at once; its own time on this machine is in the figure, so what kf takes is less.

use crate::line::{Bar, Line};
use crate::measure::{Of, median};
use crate::scratch::on_disk;
use kf::adapters::embedder::builtin::builtin;
use kf::adapters::llm::Endpoint;
use kf::base::error::{Context as _, Error, Result};
use kf::base::random::Random;
use kf::config::{Llm, LlmProvider};
use kf::domain::eval::judged::{Drawing, JudgedId, Settings};
use kf::domain::golden::{Answer, Row};
use kf::release::judging::{self, Bench, CacheMode, Cached};
use kf::seams::model::Model;
use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

/// Rows, each with three requests.
const ROWS: usize = 1000;
const REQUESTS: usize = 3 * ROWS;
/// Requests under way at a time.
const AT_ONCE: u32 = 64;
/// Bytes of each of the five contexts of a row.
const CONTEXT_BYTES: usize = 2000;

pub(crate) fn run() -> Result<Vec<Line>> {
    let url = serve()?;
    let settings = Llm {
        provider: LlmProvider::OpenAi,
        base_url: url,
        model: "m".into(),
        api_key: None,
        timeout: Duration::from_secs(30),
        concurrency: AT_ONCE,
        max_retries: 0,
        rpm: None,
        max_tokens: 1000,
        temperature: 0.0,
        seed: None,
        price_input: None,
        price_output: None,
    };
    let (rows, answers) = rows();
    let dir = on_disk()?;
    let (mut run, mut kept) = (0, None);
    let asked = median(Of::Own, 1, || {
        run += 1;
        let file = dir.path().join(format!("{run}.db"));
        let found = judge(&settings, &Cached::open(&file, CacheMode::Write)?, &rows, &answers);
        kept = Some(file);
        found
    })?;
    let file = kept.ok_or_else(|| Error::new("nothing was judged"))?;
    let again = median(Of::Own, 1, || judge(&settings, &Cached::open(&file, CacheMode::Only)?, &rows, &answers))?;
    let note = format!("{REQUESTS} requests with 5 contexts of 2 kB, the service's own time included");
    Ok(vec![
        Line::timed("judge: 64 under way, 1 ms a request", asked, Bar::CpuMs(REQUESTS as f64)).noted(note),
        Line::timed("judge: … all from the cache", again, Bar::CpuMs(REQUESTS as f64)).noted("nobody is asked"),
    ])
}

fn judge(settings: &Llm, cache: &Cached, rows: &[Row], answers: &HashMap<String, Answer>) -> Result<()> {
    let embedder = builtin();
    let model: Box<dyn Model> = Box::new(Endpoint::new(settings, None, Random::System)?);
    let drawing = Drawing { max_tokens: 1000, temperature: 0.0, seed: None };
    let bench = Bench {
        models: vec![model],
        settings: Settings { judges: vec![drawing], sentences: false, questions: 3, rubric: Some("The answer is right.".into()) },
        embedder: &embedder,
        metrics: vec![JudgedId::Faithfulness, JudgedId::Rubric],
        repeat: 1,
        min_coverage: 0.9,
        max_cost: None,
        cache,
    };
    let found = judging::run(&bench, rows, answers, &|| {})?;
    match found.scores.rows.iter().filter(|r| r.value.is_some()).count() {
        n if n == 2 * ROWS => Ok(()),
        n => Err(Error::new(format!("only {n} of {} scores came: {:?}", 2 * ROWS, found.errors))),
    }
}

fn rows() -> (Vec<Row>, HashMap<String, Answer>) {
    let mut rows = Vec::new();
    let mut answers = HashMap::new();
    for i in 0..ROWS {
        let id = format!("r{i}");
        let contexts = (0..5).map(|j| format!("Passage {j} of row {i}. ").repeat(CONTEXT_BYTES / 20)).collect();
        answers.insert(id.clone(), Answer { answer: Some(format!("Row {i} is so.")), contexts, ..Answer::default() });
        rows.push(Row { id, question: format!("How is row {i}?"), ..Row::default() });
    }
    (rows, answers)
}

/// A service that knows three answers, one for each form; its address.
fn serve() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").context(|| "cannot listen")?;
    let address = listener.local_addr().context(|| "cannot listen")?;
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || answer(client));
        }
    });
    Ok(format!("http://{address}/v1"))
}

/// Answers every request of a connection.
fn answer(client: TcpStream) -> Option<()> {
    let mut reader = BufReader::new(client.try_clone().ok()?);
    let mut writer = client;
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line).ok()? > 2 {
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().ok()?;
            }
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        // The form stands near the end of a body; what is before it is text.
        let tail = String::from_utf8_lossy(&body[body.len().saturating_sub(1200)..]).into_owned();
        let said = if tail.contains("\"name\":\"statements\"") {
            r#"{\"reason\":\"\",\"declines\":false,\"statements\":[\"It is so.\"]}"#
        } else if tail.contains("\"name\":\"verdicts\"") {
            r#"{\"verdicts\":[{\"id\":\"s1\",\"reason\":\"\",\"contexts\":[\"c1\"],\"supported\":true}]}"#
        } else {
            r#"{\"reason\":\"\",\"score\":8}"#
        };
        let said = format!(
            r#"{{"model":"m","choices":[{{"message":{{"content":"{said}"}},"finish_reason":"stop"}}],"usage":{{"prompt_tokens":9,"completion_tokens":9}}}}"#
        );
        let head = format!("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n", said.len());
        writer.write_all((head + &said).as_bytes()).ok()?;
    }
}
