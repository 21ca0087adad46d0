//! The floor: a minimal program that does the same socket and memory work as a broker, and nothing else.
//!
//! It receives the same frames over loopback, writes their bytes to a file (which costs less than storing them into a
//! mapping of it), and answers each with a small response; on its other port it answers small requests with slices of
//! mappings of those files by vectored writes. It decodes nothing, checks nothing and keeps no order between
//! connections. A broker's figures are given as shares of the floor's. It runs in a separate process.

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

/// Size of a fetch response before its records.
const FETCH_HEADER_BYTES: usize = 80;
/// Maximum number of answers that are not sent yet while more frames can be read.
const MAX_UNSENT_ANSWERS: usize = 4;
const PREFIX: usize = 4;

/// A floor process; killed when dropped.
pub struct Floor {
    child: Child,
    pub store: SocketAddr,
    pub serve: SocketAddr,
}

impl Floor {
    /// Starts the process with its files in `dir`; it answers each fetch with `slice` bytes.
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

/// Runs the floor in this process.
pub fn run(dir: PathBuf, slice: usize) -> io::Result<()> {
    let store = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let serve = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    println!("{} {}", store.local_addr()?.port(), serve.local_addr()?.port());
    // Each fetching connection gets the file of one storing connection.
    let (sender, stored_files) = mpsc::channel();
    std::thread::spawn(move || {
        for (socket, map) in serve.incoming().flatten().zip(stored_files) {
            std::thread::spawn(move || serve_slices(socket, &map, slice));
        }
    });
    let answer = produce_answer();
    for (number, socket) in store.incoming().enumerate() {
        let (path, answer, sender) = (dir.join(format!("floor-{number}")), answer.clone(), sender.clone());
        std::thread::spawn(move || {
            let map = store_frames(socket?, &path, &answer)?;
            sender.send(map).map_err(io::Error::other)
        });
    }
    Ok(())
}

/// Stores frames with one read and one write each, and returns a mapping of the file. Answers are sent when no more
/// frames can be read or when [`MAX_UNSENT_ANSWERS`] have collected.
fn store_frames(mut socket: TcpStream, path: &Path, answer: &[u8]) -> io::Result<Mmap> {
    socket.set_nodelay(true)?;
    let file = File::options().read(true).write(true).create_new(true).open(path)?;
    let mut at = 0;
    let (mut buffer, mut have) = (vec![0; 256 << 10], 0);
    let (answers, mut unsent) = (answer.repeat(MAX_UNSENT_ANSWERS), 0);
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
            unsent += 1;
            continue;
        }
        // The rest of this frame and the size field of the next.
        let want = frame + PREFIX - have;
        let no_data = match recv(&socket, &mut buffer[have..have + want], RecvFlags::DONTWAIT) {
            Ok((0, _)) => return map_stored(&file),
            Ok((read, _)) => {
                have += read;
                false
            }
            Err(rustix::io::Errno::AGAIN) => true,
            Err(error) => return Err(error.into()),
        };
        if unsent > 0 && (no_data || unsent == MAX_UNSENT_ANSWERS) {
            socket.write_all(&answers[..unsent * answer.len()])?;
            unsent = 0;
        }
        if no_data {
            match socket.read(&mut buffer[have..have + want])? {
                0 => return map_stored(&file),
                read => have += read,
            }
        }
    }
}

#[allow(unsafe_code)]
fn map_stored(file: &File) -> io::Result<Mmap> {
    // SAFETY: this process created the file in a directory of this run; no other process opens it, and it is not
    // written to or truncated from now on.
    unsafe { Mmap::map(file) }
}

/// Answers each request with the next slice of the file.
fn serve_slices(mut socket: TcpStream, map: &Mmap, slice: usize) -> io::Result<()> {
    socket.set_nodelay(true)?;
    let mut head = [0; FETCH_HEADER_BYTES];
    head[..PREFIX].copy_from_slice(&((FETCH_HEADER_BYTES - PREFIX + slice) as u32).to_be_bytes());
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

/// Encodes a produce response without an error.
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
