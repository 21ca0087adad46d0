//! Data files that another process truncates, removes or replaces.

use super::*;

/// A change by another process of a file that is in use, with its name.
type Change = (&'static str, fn(&Path));

const CHANGES: [Change; 5] = [
    ("emptied", |path| drop(std::fs::write(path, b""))),
    ("truncated", |path| truncate(path, 10_001)),
    ("overwritten", |path| drop(std::fs::write(path, [9; 9_000]))),
    ("removed", |path| drop(std::fs::remove_file(path))),
    ("replaced", |path| {
        let other = path.with_extension("other");
        std::fs::write(&other, [8; 5_000]).and_then(|()| std::fs::rename(other, path)).expect("replaces");
    }),
];

fn truncate(path: &Path, len: u64) {
    std::fs::File::options().write(true).open(path).and_then(|file| file.set_len(len)).expect("truncates");
}

#[test]
fn file_changed_by_another_process_fails_reads_and_checks() {
    for disk in [Disk::mapped(), Disk::plain()] {
        for (what, change) in CHANGES {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let path = folder.path().join("data");
            let mut file = tail(&disk, &path, 0, 1 << 20);
            file.append(b"", &[1; 20_000]).expect("appends");
            let before = file.read(0, 20_000).expect("reads");
            assert_eq!((before[0], before[19_999]), (1, 1));
            change(&path);
            let is_change = |error: io::Error| error.get_ref().is_some_and(|inner| inner.is::<ExternalChange>());
            let unlinked = ["removed", "replaced"].contains(&what);
            if !unlinked {
                assert!(is_change(file.read(0, 20_000).expect_err(what)), "{what}");
                assert!(is_change(file.read(0, 100).expect_err(what)), "{what}: below the new length too");
                assert!(is_change(file.check_length().expect_err(what)), "{what}");
            }
            assert!(is_change(file.check().expect_err(what)), "{what}");
            file.close();
            assert!(is_change(file.copy(0, 100).expect_err(what)), "{what}: opened again");
        }
    }
}

#[test]
fn file_with_unreadable_mapping_is_read_with_system_calls() {
    let disk = Disk::mapped();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut file = tail(&disk, &folder.path().join("data"), 0, 1 << 20);
    file.append(b"", &[1; 20_000]).expect("appends");
    let sent = file.read(0, 20_000).expect("reads");
    assert_eq!(disk.open_now().mappings, 1);
    assert!(faults::note_unreadable(&sent), "as after EFAULT");
    drop(sent);
    let copied = file.read(0, 20_000).expect("reads");
    assert_eq!(disk.open_now().mappings, 0, "the mapping is closed");
    assert_eq!(copied, [1; 20_000][..]);
    assert!(!faults::note_unreadable(&copied), "not mapped bytes");
}

#[test]
fn encoder_does_not_copy_blobs_of_mapped_size() {
    let bytes = bytes::Bytes::from(vec![1; VIEWED_FROM]);
    let mut writer = ottla_wire::codec::Writer::new();
    writer.blob(&bytes);
    assert!(writer.finish().iter().any(|chunk| chunk.as_ptr() == bytes.as_ptr()));
}
