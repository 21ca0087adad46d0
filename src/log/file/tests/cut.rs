//! Data files that somebody else cuts, removes or puts another one in the place of.

use super::*;

/// What somebody may do to a file that is in use, by name.
type Misdeed = (&'static str, fn(&Path));

const MISDEEDS: [Misdeed; 5] = [
    ("emptied", |path| drop(std::fs::write(path, b""))),
    ("cut", |path| cut(path, 10_001)),
    ("copied over", |path| drop(std::fs::write(path, [9; 9_000]))),
    ("removed", |path| drop(std::fs::remove_file(path))),
    ("replaced", |path| {
        let aside = path.with_extension("aside");
        std::fs::write(&aside, [8; 5_000]).and_then(|()| std::fs::rename(aside, path)).expect("replaces");
    }),
];

fn cut(path: &Path, len: u64) {
    std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(len)).expect("cuts");
}

#[test]
fn a_file_that_is_cut_in_use_is_an_error_for_readers_and_checks() {
    for disk in [Disk::mapped(), Disk::plain()] {
        for (what, misdeed) in MISDEEDS {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("data");
            let mut file = tail(&disk, &path, 0, 1 << 20);
            file.append(b"", &[1; 20_000]).expect("appends");
            let before = file.read(0, 20_000).expect("reads");
            assert_eq!((before[0], before[19_999]), (1, 1));
            misdeed(&path);
            let is_loss = |error: io::Error| error.get_ref().is_some_and(|inner| inner.is::<Loss>());
            let unlinked = ["removed", "replaced"].contains(&what);
            if !unlinked {
                assert!(is_loss(file.read(0, 20_000).expect_err(what)), "{what}");
                assert!(is_loss(file.read(0, 100).expect_err(what)), "{what}: where something is left, too");
                assert!(is_loss(file.check_length().expect_err(what)), "{what}");
            }
            assert!(is_loss(file.check().expect_err(what)), "{what}");
            file.release();
            assert!(is_loss(file.copy(0, 100).expect_err(what)), "{what}: opened again");
        }
    }
}

#[test]
fn what_cannot_be_sent_from_a_mapping_is_read_by_system_calls() {
    let disk = Disk::mapped();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = tail(&disk, &folder.path().join("data"), 0, 1 << 20);
    file.append(b"", &[1; 20_000]).expect("appends");
    let sent = file.read(0, 20_000).expect("reads");
    assert_eq!(disk.open_now().mappings, 1);
    assert!(faults::note_unreadable(&sent), "as after EFAULT");
    drop(sent);
    let copied = file.read(0, 20_000).expect("reads");
    assert_eq!(disk.open_now().mappings, 0, "the mapping is given up");
    assert_eq!(copied, [1; 20_000][..]);
    assert!(!faults::note_unreadable(&copied), "these are no mapped bytes");
}

#[test]
fn nothing_is_sent_from_a_mapping_that_the_encoder_would_copy() {
    let bytes = bytes::Bytes::from(vec![1; VIEWED_FROM]);
    let mut writer = ottla_wire::codec::Writer::new();
    writer.blob(&bytes);
    assert!(writer.finish().iter().any(|chunk| chunk.as_ptr() == bytes.as_ptr()));
}
