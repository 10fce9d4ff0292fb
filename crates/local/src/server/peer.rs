//! A connection as the server sees it: who is at its other end, and when an answer has been handed to the system whole.
//!
//! Hyper drops the body of an answer once it has its last bytes, and then flushes. So the first flush that ends after the body
//! is gone is the moment at which all bytes of the answer have left this process.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body_util::BodyExt;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use super::front::Body;
use crate::faults::{NoVictim, Victim};

/// The two ends of a connection.
#[derive(Clone, Debug)]
pub(super) struct Peer {
    client: SocketAddr,
    server: SocketAddr,
    doom: Arc<Doom>,
}

/// Who is killed when the answer that is being sent has left.
#[derive(Debug, Default)]
struct Doom {
    body_ended: AtomicBool,
    victim: Mutex<Option<Victim>>,
}

impl Peer {
    /// Takes a connection apart into who is there and what is said.
    pub(super) fn of(stream: TcpStream, client: SocketAddr) -> io::Result<(Peer, Line)> {
        let peer = Peer { client, server: stream.local_addr()?, doom: Arc::default() };
        let line = Line { stream, doom: Arc::clone(&peer.doom) };
        Ok((peer, line))
    }

    /// The process at the other end.
    pub(super) async fn victim(&self) -> Result<Victim, NoVictim> {
        let (client, server) = (self.client, self.server);
        let found = tokio::task::spawn_blocking(move || Victim::at(client, server)).await;
        // Only a panic in there ends it otherwise.
        found.unwrap_or(Err(NoVictim::NotFound(client)))
    }

    /// The answer with a mark at its end, at which the process dies.
    pub(super) fn killed_by(&self, answer: Response<Body>, victim: Victim) -> Response<Body> {
        *self.doom.victim.lock().unwrap_or_else(PoisonError::into_inner) = Some(victim);
        answer.map(|body| Marked { body, doom: Arc::clone(&self.doom) }.boxed_unsync())
    }
}

impl Doom {
    fn flushed(&self) {
        if self.body_ended.load(Ordering::Acquire) {
            self.come();
        }
    }

    fn come(&self) {
        let victim = self.victim.lock().unwrap_or_else(PoisonError::into_inner).take();
        // That it may be killed was found out before the call; there is nobody left to tell.
        let _killed = victim.map(Victim::kill);
    }
}

impl Drop for Doom {
    /// The connection broke before the answer was out.
    fn drop(&mut self) {
        self.come();
    }
}

/// A body that tells when it is gone.
struct Marked {
    body: Body,
    doom: Arc<Doom>,
}

impl HttpBody for Marked {
    type Data = Bytes;
    type Error = <Body as HttpBody>::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Marked {
    fn drop(&mut self) {
        self.doom.body_ended.store(true, Ordering::Release);
    }
}

/// The stream of a connection, which notices when everything has been written.
#[derive(Debug)]
pub(super) struct Line {
    stream: TcpStream,
    doom: Arc<Doom>,
}

impl AsyncRead for Line {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Line {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.doom.flushed();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
