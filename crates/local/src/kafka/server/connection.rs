//! One connection: requests are answered one after another, as Kafka's brokers do, and those that came together get their
//! answers in one write.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use kafka_protocol::ResponseError;
use kafka_protocol::messages::{
    ApiKey, SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
};
use kafka_protocol::protocol::StrBytes;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::access::Access;
use super::dispatch::{self, Head, Malformed, Parsed};
use super::sasl;
use crate::kafka::cluster::{Cluster, Listener};
use crate::kafka::requests::Context;

/// `socket.request.max.bytes` of Kafka's brokers.
const LARGEST_FRAME: usize = 100 << 20;
/// Nobody sends more before it has authenticated.
const LARGEST_HANDSHAKE: usize = 64 << 10;
/// A frame that is larger takes its part of the memory that all share.
const SMALL_FRAME: usize = 64 << 10;
/// Answers leave when they are so many bytes, or when there is nothing more to answer.
const FLUSH_BYTES: usize = 256 << 10;
/// `connections.max.idle.ms` of Kafka's brokers.
const IDLE: Duration = Duration::from_secs(600);
/// What an unauthenticated connection, and a frame that was begun, have.
const PATIENCE: Duration = Duration::from_secs(30);

/// What a connection belongs to.
pub(super) struct Place {
    pub(super) cluster: Arc<Cluster>,
    pub(super) node: i32,
    pub(super) listener: Listener,
    pub(super) client_host: Arc<str>,
    /// Kibibytes for large frames, of all connections of the cluster.
    pub(super) memory: Arc<Semaphore>,
}

/// Serves a connection until the client goes, sends what is no request, or its token ends.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(stream: S, place: Place) {
    let context = (place.listener == Listener::Plaintext).then(|| context(&place, Access::All));
    let mut connection = Connection {
        stream,
        place,
        context,
        offered: false,
        failed: None,
        inbox: BytesMut::with_capacity(16 << 10),
        outbox: BytesMut::with_capacity(16 << 10),
    };
    // Whatever ends it ends this connection alone.
    let _ended = connection.run().await;
    let _flushed = connection.flush().await;
}

struct Connection<S> {
    stream: S,
    place: Place,
    /// Once the client may ask for something.
    context: Option<Context>,
    /// Whether a mechanism was agreed upon.
    offered: bool,
    /// Why the token was refused: told after the client has confirmed that it heard.
    failed: Option<String>,
    inbox: BytesMut,
    outbox: BytesMut,
}

/// The connection is over.
struct Over;

impl From<Malformed> for Over {
    fn from(_: Malformed) -> Over {
        Over
    }
}

impl From<std::io::Error> for Over {
    fn from(_: std::io::Error) -> Over {
        Over
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    async fn run(&mut self) -> Result<(), Over> {
        loop {
            while let Some((frame, _memory)) = self.frame().await? {
                self.handle(frame).await?;
                if self.outbox.len() >= FLUSH_BYTES {
                    self.flush().await?;
                }
            }
            self.flush().await?;
            let patience = if self.context.is_some() && self.inbox.is_empty() { IDLE } else { PATIENCE };
            self.inbox.reserve(4 << 10);
            let read = timeout(patience, self.stream.read_buf(&mut self.inbox)).await.map_err(|_| Over)??;
            if read == 0 {
                return Err(Over);
            }
        }
    }

    /// The next whole frame that has come; the rest of a large one is waited for.
    async fn frame(&mut self) -> Result<Option<(Bytes, Option<OwnedSemaphorePermit>)>, Over> {
        let Some(length) = self.inbox.first_chunk::<4>() else { return Ok(None) };
        let length = usize::try_from(i32::from_be_bytes(*length)).map_err(|_| Over)?;
        let most = if self.context.is_some() { LARGEST_FRAME } else { LARGEST_HANDSHAKE };
        if length > most {
            return Err(Over);
        }
        if self.inbox.len() >= 4 + length {
            let mut frame = self.inbox.split_to(4 + length);
            let _length = frame.split_to(4);
            return Ok(Some((frame.freeze(), None)));
        }
        if length <= SMALL_FRAME {
            return Ok(None);
        }
        self.flush().await?;
        let kibibytes = u32::try_from(length >> 10).map_err(|_| Over)?;
        let memory = Arc::clone(&self.place.memory).acquire_many_owned(kibibytes).await.map_err(|_| Over)?;
        while self.inbox.len() < 4 + length {
            // Room is made as bytes come, not as they are promised.
            let missing = 4 + length - self.inbox.len();
            self.inbox.reserve(missing.min(self.inbox.len().max(SMALL_FRAME)));
            let read = timeout(PATIENCE, self.stream.read_buf(&mut self.inbox)).await.map_err(|_| Over)??;
            if read == 0 {
                return Err(Over);
            }
        }
        let mut frame = self.inbox.split_to(4 + length);
        let _length = frame.split_to(4);
        Ok(Some((frame.freeze(), Some(memory))))
    }

    async fn handle(&mut self, frame: Bytes) -> Result<(), Over> {
        let head = match dispatch::parse(frame)? {
            Parsed::Request(head) => head,
            Parsed::VersionsOfTheFuture { correlation } => {
                return Ok(dispatch::write_oldest_versions(correlation, &mut self.outbox)?);
            }
        };
        match head.key {
            ApiKey::SaslHandshake => return self.handshake(&head),
            ApiKey::SaslAuthenticate => return self.authenticate(&head),
            ApiKey::ApiVersions if self.context.is_none() => {
                let versions = crate::kafka::requests::metadata::api_versions();
                return Ok(dispatch::write(&head, &versions, &mut self.outbox)?);
            }
            _ => {}
        }
        if dispatch::may_wait(head.key) {
            self.flush().await?;
        }
        // Before authentication nothing else is answered.
        let context = self.context.as_mut().ok_or(Over)?;
        let now = self.place.cluster.clock.now_millis();
        if context.access.expires_millis().is_some_and(|ends| ends <= now) {
            return Err(Over);
        }
        if context.client_id != head.client_id {
            context.client_id = head.client_id.clone();
        }
        Ok(dispatch::answer(context, head, &mut self.outbox).await?)
    }

    fn handshake(&mut self, head: &Head) -> Result<(), Over> {
        let request: SaslHandshakeRequest = dispatch::decode(head)?;
        let iam = self.place.listener == Listener::Iam;
        let code = match () {
            () if !iam => ResponseError::IllegalSaslState.code(),
            () if request.mechanism.as_str() != sasl::MECHANISM => ResponseError::UnsupportedSaslMechanism.code(),
            () => 0,
        };
        self.offered = code == 0;
        let mechanisms = if iam { vec![StrBytes::from_static_str(sasl::MECHANISM)] } else { Vec::new() };
        let response = SaslHandshakeResponse::default().with_error_code(code).with_mechanisms(mechanisms);
        // After version 0 the exchange would follow without frames of Kafka's own, which clients since 1.0 do not do.
        if head.version == 0 && code == 0 {
            return Err(Over);
        }
        Ok(dispatch::write(head, &response, &mut self.outbox)?)
    }

    fn authenticate(&mut self, head: &Head) -> Result<(), Over> {
        let request: SaslAuthenticateRequest = dispatch::decode(head)?;
        let response = SaslAuthenticateResponse::default();
        if !self.offered {
            let message = "a handshake with a mechanism comes first";
            let code = ResponseError::IllegalSaslState.code();
            let response = response.with_error_code(code).with_error_message(Some(StrBytes::from_static_str(message)));
            return Ok(dispatch::write(head, &response, &mut self.outbox)?);
        }
        if let Some(why) = self.failed.take() {
            self.offered = false;
            let message = StrBytes::from_string(format!("Access denied: {why}"));
            let response = response
                .with_error_code(ResponseError::SaslAuthenticationFailed.code())
                .with_error_message(Some(message));
            dispatch::write(head, &response, &mut self.outbox)?;
            return Err(Over);
        }
        match self.take_token(&request.auth_bytes) {
            Ok(expires_millis) => {
                let left = expires_millis.saturating_sub(self.place.cluster.clock.now_millis()).max(0);
                let lifetime = if head.version >= 1 { left } else { 0 };
                let response = response.with_session_lifetime_ms(lifetime);
                Ok(dispatch::write(head, &response, &mut self.outbox)?)
            }
            Err(why) => {
                self.failed = Some(why);
                let response = response.with_auth_bytes(Bytes::from(sasl::failure()));
                Ok(dispatch::write(head, &response, &mut self.outbox)?)
            }
        }
    }

    /// Lets the client in, or lets it stay; returns when its token ends.
    fn take_token(&mut self, message: &[u8]) -> Result<i64, String> {
        let token = sasl::token(message)?;
        let cluster = &self.place.cluster;
        let access = Access::of_token(&cluster.gate, &cluster.spec(), token)?;
        let expires = access.expires_millis().unwrap_or(i64::MAX);
        match &self.context {
            Some(context) => context.access.renew(&access)?,
            None => self.context = Some(context(&self.place, access)),
        }
        Ok(expires)
    }

    async fn flush(&mut self) -> std::io::Result<()> {
        if self.outbox.is_empty() {
            return Ok(());
        }
        // A client that does not read would hold its seat for ever.
        let written = timeout(IDLE, self.stream.write_all(&self.outbox)).await;
        written.map_err(|_| std::io::Error::from(std::io::ErrorKind::TimedOut))??;
        self.stream.flush().await?;
        self.outbox.clear();
        if self.outbox.capacity() > FLUSH_BYTES * 4 {
            self.outbox = BytesMut::with_capacity(16 << 10);
        }
        Ok(())
    }
}

fn context(place: &Place, access: Access) -> Context {
    Context {
        cluster: Arc::clone(&place.cluster),
        node: place.node,
        listener: place.listener,
        access: Arc::new(access),
        client_id: StrBytes::new(),
        client_host: Arc::clone(&place.client_host),
    }
}
