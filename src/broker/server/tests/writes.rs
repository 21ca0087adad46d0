//! Replies that are sent in parts, or cannot be sent.

use super::*;

/// A socket that accepts up to 7 bytes per write and counts the calls.
struct PartialWrites {
    calls: Arc<AtomicUsize>,
    inner: DuplexStream,
}

impl tokio::io::AsyncRead for PartialWrites {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl tokio::io::AsyncWrite for PartialWrites {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let accepted = &buf[..buf.len().min(7)];
        Pin::new(&mut self.inner).poll_write(cx, accepted)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn partial_writes_are_continued() {
    let server = TestServer::new();
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let address = ([127, 0, 0, 1], 9092).into();
    let info = Arc::new(ConnectionInfo::new(0, address, address, "PLAINTEXT".into()));
    let calls = Arc::new(AtomicUsize::new(0));
    let mut connection =
        Connection::new(PartialWrites { calls: calls.clone(), inner: theirs }, info, server.shared.clone());
    tokio::spawn(async move { connection.serve().await });
    let requests = [frame("e a first one"), frame(""), frame("n"), frame("e another one that is longer")].concat();
    ours.write_all(&requests).await.unwrap();
    assert_eq!(reply(&mut ours).await, b"e a first one");
    assert_eq!(reply(&mut ours).await, b"");
    assert_eq!(reply(&mut ours).await, b"e another one that is longer");
    assert!(calls.load(Ordering::SeqCst) > 7);
}

/// A socket whose writes fail with EFAULT, as if the kernel could not read the bytes.
struct Unreadable(DuplexStream);

impl AsyncRead for Unreadable {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        into: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, into)
    }
}

impl AsyncWrite for Unreadable {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, _: &[u8]) -> Poll<std::io::Result<usize>> {
        Poll::Ready(Err(rustix::io::Errno::FAULT.into()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn unreadable_reply_is_reported_and_closes_the_connection() {
    let server = TestServer::new();
    let (mut ours, theirs) = tokio::io::duplex(1 << 16);
    let task = server.serve(Unreadable(theirs));
    ours.write_all(&frame(b"e: a request")).await.unwrap();
    let end = task.await.unwrap();
    assert!(matches!(end, End::UnreadableReply), "{end:?}");
    assert_eq!(server.dispatch.unreadable.load(Ordering::SeqCst), 2, "each chunk of the write");
}

/// Causes a fault in memory while a reply is being sent. Returns how many bytes of the reply arrived, and how the
/// connection ended, if it did.
async fn fault_while_sending(is_in_reply: bool) -> (usize, Option<End>) {
    let server = TestServer::new();
    let (mut socket, task) = server.connect();
    socket.write_all(&frame([b'e'; 200_000])).await.unwrap();
    socket.write_all(&frame(b"")).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.dispatch.faults_in_replies.store(usize::from(is_in_reply), Ordering::SeqCst);
    server.dispatch.faults.store(1, Ordering::SeqCst);
    let mut arrived = vec![0; 200_004];
    let mut got = 0;
    while got < arrived.len() {
        match socket.read(&mut arrived[got..]).await.unwrap() {
            0 => return (got, Some(task.await.unwrap())),
            some => got += some,
        }
    }
    (got, None)
}

#[tokio::test(start_paused = true)]
async fn reply_whose_memory_had_a_fault_is_not_sent_further() {
    let (got, end) = fault_while_sending(true).await;
    assert!(got < 200_004 && matches!(end, Some(End::UnreadableReply)), "{got}, {end:?}");
    let (got, end) = fault_while_sending(false).await;
    assert!(got == 200_004 && end.is_none(), "a fault elsewhere: {got}, {end:?}");
}
