//! The floor: a bare program that does the same socket and memory work as a broker, and nothing else.
//!
//! It receives the same frames over loopback, writes their bytes to a file (which costs less than storing them into a
//! mapping of it), and answers each with a small response; on its other port it answers small requests with slices of
//! mappings of those files by vectored writes. It decodes nothing, checks nothing and keeps no order between
//! connections; a broker's figures are given as shares of this one's. It runs as a process of its own.

use std::fs::File;
use std::io::{self, BufRead, BufReader, IoSlice, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;

use memmap2::Mmap;
use ottla_wire::protocol::frame::encode_response;
use ottla_wire::protocol::messages::produce::{PartitionProduceResponse, ProduceResponse, TopicProduceResponse};
use rustix::net::{RecvFlags, recv};

use crate::load::PRODUCE_VERSION;

/// What stands before the records in an answer to a fetch.
const FETCH_HEAD: usize = 80;
/// Answers held back while more frames are there to be read.
const MOST_OWED: usize = 4;
const PREFIX: usize = 4;

/// A floor process; killed when dropped.
pub struct Floor {
    child: Child,
    pub store: SocketAddr,
    pub serve: SocketAddr,
}

impl Floor {
    /// Starts one with its files in `dir`, that answers fetches with `slice` bytes each.
    pub fn start(dir: &Path, slice: usize) -> Floor {
        let own = std::env::current_exe().expect("the path of this program");
        let mut command = Command::new(own);
        command.arg("--floor").arg(dir).arg("--floor-slice").arg(slice.to_string());
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the floor starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("the floor's ports");
        let mut ports = line.split_whitespace().map(|port| port.parse().expect("a port"));
        let mut address = || SocketAddr::from((Ipv4Addr::LOCALHOST, ports.next().expect("a port")));
        let (store, serve) = (address(), address());
        Floor { child, store, serve }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The process itself.
pub fn run(dir: PathBuf, slice: usize) -> io::Result<()> {
    let store = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let serve = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{} {}", store.local_addr()?.port(), serve.local_addr()?.port());
    // Each connection that fetches gets what one of those that stored has left.
    let (stored, to_serve) = mpsc::channel();
    std::thread::spawn(move || {
        for (socket, map) in serve.incoming().flatten().zip(to_serve) {
            std::thread::spawn(move || serve_slices(socket, &map, slice));
        }
    });
    let answer = produce_answer();
    for (number, socket) in store.incoming().enumerate() {
        let (path, answer, stored) = (dir.join(format!("floor-{number}")), answer.clone(), stored.clone());
        std::thread::spawn(move || {
            let map = store_frames(socket?, &path, &answer)?;
            stored.send(map).map_err(io::Error::other)
        });
    }
    Ok(())
}

/// One read and one write for each frame; answers leave when no more frames are there, or a few are owed. What was
/// stored, mapped, in the end.
fn store_frames(mut socket: TcpStream, path: &Path, answer: &[u8]) -> io::Result<Mmap> {
    socket.set_nodelay(true)?;
    let file = File::options().read(true).write(true).create_new(true).open(path)?;
    let mut at = 0;
    let (mut buffer, mut have) = (vec![0; 256 << 10], 0);
    let (answers, mut owed) = (answer.repeat(MOST_OWED), 0);
    loop {
        let frame = match buffer[..have].first_chunk() {
            Some(size) => PREFIX + u32::from_be_bytes(*size) as usize,
            None => 0,
        };
        if frame > 0 && have >= frame {
            file.write_all_at(&buffer[..frame], at)?;
            at += frame as u64;
            buffer.copy_within(frame..have, 0);
            have -= frame;
            owed += 1;
            continue;
        }
        // The rest of this frame and the size of the next.
        let room = frame + PREFIX - have;
        let nothing_there = match recv(&socket, &mut buffer[have..have + room], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return stored(&file),
            Ok((read, _)) => {
                have += read;
                false
            }
            Err(rustix::io::Errno::AGAIN) => true,
            Err(error) => return Err(error.into()),
        };
        if owed > 0 && (nothing_there || owed == MOST_OWED) {
            socket.write_all(&answers[..owed * answer.len()])?;
            owed = 0;
        }
        if nothing_there {
            match socket.read(&mut buffer[have..have + room])? {
                0 => return stored(&file),
                read => have += read,
            }
        }
    }
}

#[allow(unsafe_code)]
fn stored(file: &File) -> io::Result<Mmap> {
    // SAFETY: the file was created by this process in a directory of this run; nobody else opens it, and from now on
    // nobody writes to it or cuts it.
    unsafe { Mmap::map(file) }
}

/// Answers each request with the next slice.
fn serve_slices(mut socket: TcpStream, map: &Mmap, slice: usize) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut head = [0; FETCH_HEAD];
    head[..PREFIX].copy_from_slice(&((FETCH_HEAD - PREFIX + slice) as u32).to_be_bytes());
    let (mut buffer, mut have, mut at) = ([0; 4096], 0, 0);
    loop {
        match socket.read(&mut buffer[have..])? {
            0 => return Ok(()),
            read => have += read,
        }
        while let Some(size) = buffer[..have].first_chunk() {
            let frame = PREFIX + u32::from_be_bytes(*size) as usize;
            if have < frame {
                break;
            }
            buffer.copy_within(frame..have, 0);
            have -= frame;
            if at + slice > map.len() {
                at = 0;
            }
            write_all(&mut socket, [&head, &map[at..at + slice]])?;
            at += slice;
        }
    }
}

fn write_all(socket: &mut TcpStream, parts: [&[u8]; 2]) -> io::Result<()> {
    let mut slices = parts.map(IoSlice::new);
    let mut left = &mut slices[..];
    while !left.is_empty() {
        let written = socket.write_vectored(left)?;
        IoSlice::advance_slices(&mut left, written);
    }
    Ok(())
}

/// A produce response that says "stored".
fn produce_answer() -> Vec<u8> {
    let response = ProduceResponse {
        responses: vec![TopicProduceResponse {
            name: "floor".into(),
            partition_responses: vec![PartitionProduceResponse::default()],
            ..Default::default()
        }],
        ..Default::default()
    };
    encode_response(0, PRODUCE_VERSION, &response.into()).expect("a response").concat()
}
