//! The connection below HTTP: faults that no well-behaved server can show are played here, byte by byte.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Sleep, sleep};

/// What happens to the next answer on a connection.
#[derive(Clone, Copy, Debug)]
pub(super) enum Plan {
    /// It goes out as it is.
    Whole,
    /// The connection is reset instead.
    Reset,
    /// The connection ends after so many bytes of the body.
    Cut { body_bytes: usize },
    /// It goes out in pieces of so many bytes, with pauses.
    Drip { piece: usize, pause: Duration },
}

/// The handle by which the server tells a connection what to do.
#[derive(Clone, Debug)]
pub(super) struct Wire(Arc<Mutex<Plan>>);

impl Wire {
    pub(super) fn plan(&self, plan: Plan) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = plan;
    }

    fn planned(&self) -> Plan {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Connected<IncomingStream<'_, Door>> for Wire {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        stream.remote_addr().clone()
    }
}

/// A listener whose connections obey a [`Wire`].
pub(super) struct Door(pub(super) TcpListener);

impl Listener for Door {
    type Io = Line;
    type Addr = Wire;

    async fn accept(&mut self) -> (Line, Wire) {
        loop {
            if let Ok((stream, _)) = self.0.accept().await {
                let wire = Wire(Arc::new(Mutex::new(Plan::Whole)));
                return (Line { stream, wire: wire.clone(), pause: None }, wire);
            }
            // Descriptors ran out, most likely; others may end meanwhile.
            sleep(Duration::from_millis(10)).await;
        }
    }

    fn local_addr(&self) -> io::Result<Wire> {
        let _: SocketAddr = self.0.local_addr()?;
        Ok(Wire(Arc::new(Mutex::new(Plan::Whole))))
    }
}

/// A connection that can be cut in any place.
pub(super) struct Line {
    stream: TcpStream,
    wire: Wire,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Line {
    fn write_piece(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        piece: usize,
    ) -> Poll<io::Result<usize>> {
        let end = piece.clamp(1, bytes.len().max(1)).min(bytes.len());
        Pin::new(&mut self.stream).poll_write(context, &bytes[..end])
    }
}

/// Where the body begins in an answer's first bytes.
fn body_start(bytes: &[u8]) -> usize {
    bytes.windows(4).position(|window| window == b"\r\n\r\n").map_or(0, |at| at + 4)
}

impl AsyncWrite for Line {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match self.wire.planned() {
            Plan::Whole => Pin::new(&mut self.stream).poll_write(context, bytes),
            Plan::Reset => {
                // Closing with unsent data discarded is what makes the kernel send a reset.
                self.stream.set_zero_linger()?;
                Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()))
            }
            Plan::Cut { body_bytes: 0 } => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
            Plan::Cut { body_bytes } => {
                let written =
                    ready!(self.write_piece(context, bytes, body_start(bytes).saturating_add(body_bytes)))?;
                self.wire.plan(Plan::Cut { body_bytes: 0 });
                Poll::Ready(Ok(written))
            }
            Plan::Drip { piece, pause } => {
                if let Some(sleeping) = self.pause.as_mut() {
                    ready!(sleeping.as_mut().poll(context));
                }
                let written = ready!(self.write_piece(context, bytes, piece))?;
                self.pause = Some(Box::pin(sleep(pause)));
                Poll::Ready(Ok(written))
            }
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl AsyncRead for Line {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}
