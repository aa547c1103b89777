//! Answers and bodies that are too large for memory. Nothing is sent twice here: what a half of an answer was used for cannot be undone.

use super::{Failure, Http, Request, Response, failure, refused};
use crate::base::error::{Context, Error, Result};
use reqwest::header::{CONTENT_LENGTH, HeaderMap, HeaderValue};
use std::fs::File;
use std::io::{Cursor, Read};
use std::time::{Duration, Instant};

/// How long a server may be silent in between.
const SILENT: Duration = Duration::from_secs(600);
/// How long a whole body may take to be sent and taken in.
const SENDING: Duration = Duration::from_secs(6 * 3600);
/// The bytes of a piece of a body.
const PIECE: usize = 1 << 18;
/// What is read of an answer that is no success.
const SAID_MAX: usize = 64 << 10;

impl Http {
    /// Sends a request and gives its answer piece by piece to `each`; the headers of the answer are told first.
    ///
    /// # Errors
    /// When the service is not reached, is silent for ten minutes or breaks off; those of `each`; for a status other than success, with
    /// [`Refused`](super::Refused) as its cause.
    pub async fn download(
        &self,
        request: &Request,
        head: &mut dyn FnMut(&HeaderMap),
        each: &mut dyn FnMut(&[u8]) -> Result<()>,
    ) -> Result<()> {
        let mut answer = self.begin(request, request.build(&self.client)).await?;
        head(answer.headers());
        loop {
            let next = tokio::time::timeout(SILENT, answer.chunk()).await;
            match next.map_err(|_| silent(request))?.map_err(|e| told(failure(request, e, SILENT)))? {
                Some(piece) => each(&piece)?,
                None => return Ok(()),
            }
        }
    }

    /// Sends a file as the body of a request, between two texts, and gives the answer.
    ///
    /// # Errors
    /// As [`Http::download`]; when the file cannot be read.
    pub async fn upload(&self, request: &Request, before: Vec<u8>, file: File, after: Vec<u8>) -> Result<Response> {
        let size = file.metadata().context(|| "cannot read the size of a file")?.len() + (before.len() + after.len()) as u64;
        let mut from = Cursor::new(before).chain(file).chain(Cursor::new(after));
        let pieces = std::iter::from_fn(move || {
            let mut piece = vec![0; PIECE];
            match from.read(&mut piece) {
                Ok(0) => None,
                Ok(n) => {
                    piece.truncate(n);
                    Some(Ok(piece))
                }
                Err(e) => Some(Err::<Vec<u8>, std::io::Error>(e)),
            }
        });
        let body = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
        let length = HeaderValue::from(size);
        let started = Instant::now();
        let mut answer = self.begin(request, request.build(&self.client).header(CONTENT_LENGTH, length).body(body)).await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = said(&mut answer).await;
        Ok(Response { status, headers, body, elapsed: started.elapsed() })
    }

    async fn begin(&self, request: &Request, built: reqwest::RequestBuilder) -> Result<reqwest::Response> {
        let sent = tokio::time::timeout(SENDING, built.send()).await.map_err(|_| silent(request))?;
        let mut answer = sent.map_err(|e| told(failure(request, e, SILENT)))?;
        if answer.status().is_success() {
            return Ok(answer);
        }
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        let body = said(&mut answer).await;
        Err(refused(request, &Response { status, headers, body, elapsed: Duration::ZERO }))
    }
}

async fn said(answer: &mut reqwest::Response) -> Vec<u8> {
    let mut all = Vec::new();
    while let Ok(Ok(Some(piece))) = tokio::time::timeout(SILENT, answer.chunk()).await {
        all.extend_from_slice(&piece);
        if all.len() > SAID_MAX {
            break;
        }
    }
    all
}

fn told(failure: Failure) -> Error {
    match failure {
        Failure::Unreached(e) | Failure::Final(e) => e,
    }
}

fn silent(request: &Request) -> Error {
    Error::new(format!("{}: the service is silent for {} s", request.what(), SILENT.as_secs()))
}
