//! One thread that answers many connections, each question after the same time. It takes as little
//! as can be of the machine that is measured, and keeps that time to the microsecond: what runs
//! under the rest of this program wakes at whole milliseconds.

use std::{
    collections::{HashMap, VecDeque},
    io::{ErrorKind, Read, Write},
    net::{TcpListener, TcpStream},
    time::{Duration, Instant},
};

use rustix::{
    buffer::spare_capacity,
    event::{
        Timespec,
        epoll::{self, CreateFlags, Event, EventData, EventFlags},
    },
    fd::OwnedFd,
    net::listen,
};

/// How long a mock provider thinks.
const THINKS: Duration = Duration::from_millis(20);
/// Longest request that is read.
const LONGEST: usize = 64 * 1024;
/// Stands for the listener among the connections.
const LISTENER: u64 = 0;
/// Connections that may wait to be accepted: a load begins with all of its own.
const BACKLOG: i32 = 4_096;
/// Events taken at once.
const EVENTS: usize = 256;

/// Connections, and the answers that are due to them in the order of their questions.
struct Answering<'a> {
    listener: &'a TcpListener,
    answer: &'a [u8],
    epoll: OwnedFd,
    connections: HashMap<u64, Connection>,
    last: u64,
    due: VecDeque<(Instant, u64)>,
}

struct Connection {
    stream: TcpStream,
    held: Vec<u8>,
}

/// Answers requests with a `content-length`, one after another on each connection, for ever.
///
/// # Errors
/// The system gives no sockets.
pub(super) fn answer_all(listener: &TcpListener, answer: &[u8]) -> std::io::Result<()> {
    listen(listener, BACKLOG)?;
    listener.set_nonblocking(true)?;
    let epoll = epoll::create(CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let (connections, due) = (HashMap::new(), VecDeque::new());
    let mut answering = Answering { listener, answer, epoll, connections, last: LISTENER, due };
    let mut events: Vec<Event> = Vec::with_capacity(EVENTS);
    loop {
        let wait = answering.answer_due().map(Timespec::try_from);
        let wait = wait.transpose().map_err(std::io::Error::other)?;
        epoll::wait(&answering.epoll, spare_capacity(&mut events), wait.as_ref())?;
        for event in events.drain(..) {
            match { event.data }.u64() {
                LISTENER => answering.accept()?,
                id => answering.read(id),
            }
        }
    }
}

impl Answering<'_> {
    /// Sends the answers whose time has come; how long until the next.
    fn answer_due(&mut self) -> Option<Duration> {
        let now = Instant::now();
        while let Some(&(at, id)) = self.due.front() {
            if at > now {
                return Some(at - now);
            }
            self.due.pop_front();
            let Some(connection) = self.connections.get_mut(&id) else { continue };
            // It fits into the socket's buffer: nobody asks twice before the answer.
            if connection.stream.write_all(self.answer).is_err() {
                self.connections.remove(&id);
            }
        }
        None
    }

    fn accept(&mut self) -> std::io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            self.last += 1;
            epoll::add(&self.epoll, &stream, EventData::new_u64(self.last), EventFlags::IN)?;
            let held = Vec::with_capacity(4_096);
            self.connections.insert(self.last, Connection { stream, held });
        }
    }

    /// Takes in what has come; a connection that ends or breaks is the other side's business.
    fn read(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        match connection.question() {
            Ok(true) => self.due.push_back((Instant::now() + THINKS, id)),
            Ok(false) => {}
            Err(_) => drop(self.connections.remove(&id)),
        }
    }
}

impl Connection {
    /// Whether a whole question is there now; it is taken out.
    fn question(&mut self) -> std::io::Result<bool> {
        let mut part = [0; 4_096];
        match self.stream.read(&mut part) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(length) => self.held.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
        let Some(end) = request_end(&self.held) else {
            let whole = self.held.len() <= LONGEST;
            return if whole { Ok(false) } else { Err(ErrorKind::InvalidData.into()) };
        };
        self.held.drain(..end);
        Ok(true)
    }
}

/// Where the first request in these bytes ends, once it is whole.
fn request_end(held: &[u8]) -> Option<usize> {
    let head = held.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(held.get(..head)?).ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().ok())?
    });
    let end = head + length.unwrap_or(0);
    (held.len() >= end).then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_end_where_their_length_says() {
        let request = b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabcPOST";
        assert_eq!(request_end(request), Some(request.len() - 4));
        assert_eq!(request_end(&request[..request.len() - 6]), None);
        assert_eq!(request_end(b"GET / HTTP/1.1\r\n"), None);
    }

    #[test]
    fn a_question_in_pieces_is_answered_after_its_time() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        std::thread::spawn(move || answer_all(&listener, b"answer"));
        for _ in 0..2 {
            let begun = Instant::now();
            stream.write_all(b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n").unwrap();
            stream.write_all(b"{}").unwrap();
            let mut answer = [0; 6];
            stream.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"answer");
            assert!(begun.elapsed() >= THINKS);
        }
    }
}
