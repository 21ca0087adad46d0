//! Tests of all backings, then of the simulated one alone.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::data_file::VIEWED_FROM;
use super::mapping::Mapping;
use super::*;

mod external_change;

/// Each file is closed as soon as another one is used.
const ONE_OF_EACH: OpenLimits = OpenLimits { descriptors: 1, mappings: 1 };

fn on_every_backing(test: impl Fn(&Disk, &Path)) {
    for disk in [Disk::mapped(), Disk::plain(), Disk::mapped().with_limits(ONE_OF_EACH)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        test(&disk, &folder.path().join("inside"));
    }
    test(&Disk::simulated(&Simulation::default()), &PathBuf::from("/inside"));
    test(&Disk::simulated(&Simulation::default()).with_limits(ONE_OF_EACH), &PathBuf::from("/inside"));
}

fn tail(disk: &Disk, path: &Path, len: u64, limit: u64) -> DataFile {
    DataFile::open_tail(disk, path, len, limit).expect("opens")
}

#[test]
fn created_renamed_and_removed_names_are_listed_accordingly() {
    on_every_backing(|disk, folder| {
        assert_eq!(disk.list(folder).expect("lists"), None);
        disk.create_folder(folder).expect("creates");
        disk.create_folder(folder).expect("exists already");
        let (a, b) = (folder.join("a"), folder.join("b"));
        assert_eq!(disk.read(&a).expect("reads"), None);
        assert_eq!(disk.len(&a).expect("looks"), None);
        disk.write_atomic(&a, b"first", true).expect("writes");
        disk.write_atomic(&a, b"second", false).expect("writes");
        assert_eq!(disk.read(&a).expect("reads"), Some(b"second".to_vec()));
        disk.rename(&a, &b).expect("renames");
        assert_eq!(disk.list(folder).expect("lists"), Some(vec!["b".to_owned()]));
        assert_eq!(disk.len(&b).expect("looks"), Some(6));
        disk.sync_folder(folder).expect("syncs");
        disk.remove(&b).expect("removes");
        disk.remove(&b).expect("was removed already");
        assert_eq!(disk.list(folder).expect("lists"), Some(vec![]));
        disk.remove_folder(folder).expect("removes");
        assert_eq!(disk.list(folder).expect("lists"), None);
    });
}

#[test]
fn reserving_disk_space_does_not_change_length() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 20);
        file.reserve();
        file.append(b"head", b"body").expect("appends");
        assert_eq!(disk.len(&path).expect("looks"), Some(8));
        file.free_reserved().expect("frees");
        file.append(b"more", b"").expect("appends");
        assert_eq!(disk.read(&path).expect("reads"), Some(b"headbodymore".to_vec()));
    });
}

#[test]
fn appended_bytes_are_read_by_tail_and_sealed_file() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 30);
        let mut expected = Vec::new();
        for index in 0..3000_u32 {
            let (head, body) = (index.to_be_bytes(), vec![index as u8; 100]);
            file.append(&head, &body).expect("appends");
            expected.extend_from_slice(&head);
            expected.extend_from_slice(&body);
        }
        assert_eq!(file.len(), expected.len() as u64);
        assert_eq!(file.read(0, expected.len()).expect("reads"), expected);
        assert_eq!(file.read(1040, 104).expect("reads"), expected[1040..1144]);
        assert!(file.read(expected.len() as u64, 1).is_err(), "nothing beyond the end");
        assert!(file.read(u64::MAX, 1).is_err());
        assert_eq!(disk.len(&path).expect("looks"), Some(expected.len() as u64));
        let sealed = DataFile::open_sealed(disk, &path, expected.len() as u64).expect("opens");
        assert_eq!(sealed.read(0, expected.len()).expect("reads"), expected);
        assert!(DataFile::open_sealed(disk, &path, expected.len() as u64 + 1).is_err());
    });
}

#[test]
fn opening_tail_truncates_file_to_given_length() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 20);
        file.append(b"whole", b"torn").expect("appends");
        drop(file);
        let mut file = tail(disk, &path, 5, 1 << 20);
        assert_eq!(file.read(0, 5).expect("reads"), b"whole"[..]);
        file.append(b" ", b"again").expect("appends");
        assert_eq!(file.read(0, 11).expect("reads"), b"whole again"[..]);
        assert!(DataFile::open_tail(disk, &path, 1 << 20, 1 << 20).is_err(), "shorter than it should be");
    });
}

#[test]
fn read_bytes_stay_valid_after_file_is_removed() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 20);
        file.append(b"sh", b"ort").expect("appends");
        let short = file.read(0, 5).expect("reads");
        file.append(b"", &[6; VIEWED_FROM]).expect("appends");
        let long = file.read(5, VIEWED_FROM).expect("reads");
        file.append(b"", &[7; 700_000]).expect("appends through several mappings");
        drop(file);
        disk.remove(&path).expect("removes");
        assert_eq!(short, b"short"[..]);
        assert_eq!(long, [6; VIEWED_FROM][..]);
    });
}

#[test]
fn renaming_replaces_file_and_moves_folder_with_content() {
    on_every_backing(|disk, folder| {
        let (old, new) = (folder.join("t-0"), folder.join("t-0.x-delete"));
        disk.create_folder(&old).expect("creates parents too");
        let (a, b) = (old.join("a"), old.join("b"));
        disk.write_atomic(&a, b"a", false).expect("writes");
        disk.write_atomic(&b, b"b", false).expect("writes");
        disk.rename(&a, &b).expect("renames onto an existing file");
        assert_eq!((disk.read(&a).expect("reads"), disk.read(&b).expect("reads")), (None, Some(b"a".to_vec())));
        assert_eq!(disk.rename(&a, &b).expect_err("no such file").kind(), ErrorKind::NotFound);
        let open = disk.open_to_write(&b).expect("opens");
        disk.rename(&old, &new).expect("renames");
        assert_eq!(disk.list(&old).expect("lists"), None);
        assert_eq!(disk.list_folders(folder).expect("lists"), ["t-0.x-delete"]);
        open.write_all_at(1, b"fter").expect("writes to the moved file");
        assert_eq!(disk.read(&new.join("b")).expect("reads"), Some(b"after".to_vec()));
        disk.remove_folder(&new).expect("removes");
        disk.remove_folder(&new).expect("was removed already");
        assert_eq!(disk.list_folders(folder).expect("lists"), [""; 0]);
    });
}

#[test]
fn list_contains_files_and_folders() {
    on_every_backing(|disk, folder| {
        disk.create_folder(&folder.join("folder")).expect("creates");
        disk.write_atomic(&folder.join("file"), b"", false).expect("writes");
        disk.write_atomic(&folder.join("folder").join("inner"), b"", false).expect("writes");
        let mut names = disk.list(folder).expect("lists").expect("exists");
        names.sort();
        assert_eq!(names, ["file", "folder"]);
        assert_eq!(disk.list_folders(folder).expect("lists"), ["folder"]);
        assert_eq!(disk.len(&folder.join("file")).expect("looks"), Some(0));
        assert!(disk.open_to_read(&folder.join("other")).expect("looks").is_none());
        assert!(disk.open_to_write(&folder.join("missing").join("file")).is_err(), "parents are not created");
    });
}

#[test]
fn raw_file_is_written_at_positions_and_truncated() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("index");
        let file = disk.open_to_write(&path).expect("creates");
        file.write_all_at(3, b"def").expect("writes behind the end");
        file.write_parts_at(0, b"a", b"bc").expect("writes");
        file.write_parts_at(6, b"", b"").expect("writes nothing");
        assert_eq!(disk.read(&path).expect("reads"), Some(b"abcdef".to_vec()));
        file.set_len(4).expect("truncates");
        file.set_len(6).expect("grows");
        assert_eq!((file.len().expect("looks"), disk.read(&path).expect("reads")), (6, Some(b"abcd\0\0".to_vec())));
        let mut bytes = [9; 4];
        assert_eq!(file.read_at(4, &mut bytes).expect("reads to the end"), 2);
        assert_eq!(bytes, [0, 0, 9, 9]);
        assert_eq!(file.read_at(100, &mut bytes).expect("reads"), 0);
        assert_eq!(file.read_exact_at(4, &mut bytes).expect_err("too short").kind(), ErrorKind::UnexpectedEof);
        file.sync().expect("syncs");
        assert_eq!(disk.open_to_write(&path).expect("opens").len().expect("looks"), 6, "opening does not truncate");
    });
}

#[test]
fn sealed_file_longer_than_published_reads_only_published_bytes() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 20);
        file.append(b"01234", b"56789").expect("appends");
        file.sync_handle().sync().expect("syncs");
        file.close();
        assert_eq!(file.read(2, 3).expect("reads"), b"234"[..]);
        drop(file);
        let sealed = DataFile::open_sealed(disk, &path, 7).expect("opens");
        assert!(!sealed.is_writable());
        assert_eq!(sealed.read(0, 7).expect("reads"), b"0123456"[..]);
        assert!(sealed.read(5, 3).is_err(), "beyond the published length");
        assert_eq!(disk.len(&path).expect("looks"), Some(10), "not truncated");
    });
}

#[test]
fn modified_returns_time_of_last_write() {
    for disk in [Disk::mapped(), Disk::plain()] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        assert_eq!(disk.modified(&path), 0, "no such file");
        std::fs::write(&path, b"x").expect("writes");
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_234_567);
        let file = std::fs::File::options().write(true).open(&path).expect("opens");
        file.set_modified(then).expect("sets the time");
        assert_eq!(disk.modified(&path), 1_234_567);
    }
    let simulation = Simulation::default();
    let (disk, path) = (Disk::simulated(&simulation), Path::new("/f/file"));
    assert_eq!(disk.modified(path), 0, "no such file");
    simulation.put(path, b"x");
    simulation.set_time(1_234_567);
    let file = disk.open_to_write(path).expect("opens");
    assert_eq!(disk.modified(path), 0, "opening writes nothing");
    file.write_all_at(0, b"y").expect("writes");
    assert_eq!(disk.modified(path), 1_234_567);
    simulation.set_time(1_234_568);
    file.set_len(0).expect("truncates");
    assert_eq!(disk.modified(path), 1_234_568);
}

#[test]
fn probe_of_file_system_with_mappings_chooses_mapped_backing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    faults::install().expect("installs");
    let (disk, error) = Disk::probe(folder.path());
    assert_eq!(disk.is_mapped(), error.is_none());
    assert_eq!(disk.list(folder.path()).expect("lists"), Some(vec![]), "the scratch file is removed");
    let (disk, error) = Disk::probe(&folder.path().join("missing"));
    assert!(!disk.is_mapped() && error.is_some());
}

#[test]
fn probe_of_file_system_without_usable_mappings_chooses_plain_backing() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refuse =
        |_: &std::fs::File, _: usize| Err(io::Error::from_raw_os_error(rustix::io::Errno::NODEV.raw_os_error()));
    let (disk, error) = Disk::probe_with(folder.path(), refuse);
    assert!(!disk.is_mapped());
    assert!(error.expect("a reason").to_string().starts_with("No such device"));
    // A file system whose mappings don't show later writes: simulated by mapping another file.
    let other = folder.path().join("other");
    std::fs::write(&other, [b"written".as_slice(), &[0; 20_000]].concat()).expect("writes");
    let stale = |_: &std::fs::File, len: usize| Mapping::new(&std::fs::File::open(&other)?, len);
    let (disk, error) = Disk::probe_with(folder.path(), stale);
    assert!(!disk.is_mapped());
    assert_eq!(error.expect("a reason").to_string(), "a mapping doesn't show what is written");
    assert_eq!(disk.list(folder.path()).expect("lists"), Some(vec!["other".to_owned()]), "scratch files are removed");
}

/// Returns a generator of numbers that depend only on the seed.
fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed += 1;
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7
    }
}

#[test]
fn power_loss_keeps_synced_pages_and_random_part_of_others() {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let folder = Path::new("/f");
    disk.create_folder(folder).expect("creates");
    let path = folder.join("data");
    let file = disk.open_to_write(&path).expect("opens");
    file.write_all_at(0, &[1; 10_000]).expect("writes");
    file.sync().expect("syncs");
    disk.sync_folder(folder).expect("syncs");
    file.write_all_at(5000, &[2; 10_000]).expect("writes");
    disk.write_atomic(&folder.join("other"), b"x", false).expect("writes");
    let (mut lengths, mut pages, mut names) = ([false; 2], [false; 2], [false; 2]);
    for seed in 0..40 {
        let survivor = Disk::simulated(&simulation.power_loss(&mut numbers(seed * 1000)));
        let bytes = survivor.read(&path).expect("reads").expect("exists");
        assert_eq!(bytes[..4096], [1; 4096], "a synced page that was not written since");
        assert!([10_000, 15_000].contains(&bytes.len()), "{}", bytes.len());
        lengths[usize::from(bytes.len() == 15_000)] = true;
        assert!([1, 2].contains(&bytes[5000]), "the old or the new page");
        pages[usize::from(bytes[5000] == 2)] = true;
        names[usize::from(survivor.read(&folder.join("other")).expect("reads").is_some())] = true;
    }
    assert_eq!((lengths, pages, names), ([true; 2], [true; 2], [true; 2]), "each outcome occurs");
    simulation.crash_at_sync(simulation.syncs() + 1);
    assert!(file.sync().is_err() && file.write_all_at(0, b"x").is_err(), "the machine has stopped");
}

#[test]
fn unsynced_rename_of_folder_is_kept_whole_or_lost_on_power_loss() {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let (old, new) = (Path::new("/f/old"), Path::new("/f/new"));
    simulation.put(&old.join("a"), b"a");
    simulation.put(&old.join("b"), b"b");
    disk.rename(old, new).expect("renames");
    let names = |disk: &Disk, folder: &Path| disk.list(folder).expect("lists").unwrap_or_default().len();
    let mut seen = [false; 2];
    for seed in 0..20 {
        let survivor = Disk::simulated(&simulation.power_loss(&mut numbers(seed * 1000)));
        let found = (names(&survivor, old), names(&survivor, new));
        assert!([(2, 0), (0, 2)].contains(&found), "{found:?}");
        seen[usize::from(found.1 == 2)] = true;
    }
    assert_eq!(seen, [true; 2]);
    disk.sync_folder(Path::new("/f")).expect("syncs");
    let survivor = Disk::simulated(&simulation.power_loss(&mut numbers(1)));
    assert_eq!((names(&survivor, old), names(&survivor, new)), (0, 2));
}

/// Syncs a file, writes it again, and fails the next sync with `fault`. Returns a byte as it is read then, and as it is
/// after a second sync, which succeeds, and a power loss.
fn after_failed_sync(fault: Fault) -> (u8, u8) {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let path = Path::new("/f/data");
    simulation.put(path, &[1; 8192]);
    let file = disk.open_to_write(path).expect("opens");
    file.write_all_at(0, &[2; 8192]).expect("writes");
    simulation.inject_faults(move |op| (op == DiskOp::Sync).then_some(fault));
    assert!(file.sync().is_err());
    simulation.clear_faults();
    let mut read = [0];
    file.read_exact_at(5000, &mut read).expect("reads");
    file.sync().expect("syncs");
    let survivor = Disk::simulated(&simulation.power_loss(&mut numbers(1)));
    (read[0], survivor.read(path).expect("reads").expect("exists")[5000])
}

#[test]
fn failed_sync_leaves_pages_dirty_clean_or_reverted_as_the_fault_says() {
    assert_eq!(after_failed_sync(Fault::Error), (2, 2), "the next sync writes the pages");
    assert_eq!(after_failed_sync(Fault::SyncDropsDirtyPages), (2, 1), "in the page cache, never on disk");
    assert_eq!(after_failed_sync(Fault::SyncReverts), (1, 1));
}

#[test]
fn short_reads_and_writes_are_completed() {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let path = Path::new("/f/data");
    simulation.put(path, b"");
    let mut number = numbers(5);
    simulation.inject_faults(move |op| {
        let short = matches!(op, DiskOp::Read | DiskOp::Write) && !number().is_multiple_of(3);
        short.then_some(Fault::Short)
    });
    let file = disk.open_to_write(path).expect("opens");
    let body: Vec<u8> = (0..=255).collect();
    for at in 0..50 {
        file.write_parts_at(at * 262, b"parted", &body).expect("writes");
    }
    let mut read = vec![0; 262];
    for at in 0..50 {
        file.read_exact_at(at * 262, &mut read).expect("reads");
        assert_eq!((&read[..6], &read[6..]), (b"parted".as_slice(), body.as_slice()));
    }
}

#[test]
fn injected_faults_fail_every_kind_of_operation() {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let path = Path::new("/f/data");
    simulation.put(path, b"before");
    let file = disk.open_to_write(path).expect("opens");
    let fails = |op: DiskOp, fault: Fault| {
        simulation.inject_faults(move |actual| (actual == op).then_some(fault));
        let outcome = match op {
            DiskOp::Lookup => disk.list(Path::new("/f")).map(drop),
            DiskOp::Read => disk.read(path).map(drop),
            DiskOp::Write => file.write_all_at(0, b"written"),
            DiskOp::Change => disk.rename(path, Path::new("/f/other")),
            DiskOp::Sync => file.sync(),
        };
        simulation.clear_faults();
        outcome.expect_err("fails").kind()
    };
    for op in [DiskOp::Lookup, DiskOp::Read, DiskOp::Write, DiskOp::Change, DiskOp::Sync] {
        assert_eq!(fails(op, Fault::Error), ErrorKind::Other, "{op:?}");
    }
    assert_eq!(fails(DiskOp::Write, Fault::NoSpace), ErrorKind::StorageFull);
    assert_eq!(fails(DiskOp::Change, Fault::NoSpace), ErrorKind::StorageFull);
    assert_eq!(disk.read(path).expect("reads"), Some(b"wriore".to_vec()), "half of the failed write was done");
}

#[test]
fn many_files_with_small_limits_are_all_read_and_written() {
    let limits = OpenLimits { descriptors: 3, mappings: 2 };
    for disk in [Disk::mapped(), Disk::plain(), Disk::simulated(&Simulation::default())] {
        let temporary = tempfile::tempdir().expect("a temporary folder");
        let (disk, folder) = (disk.with_limits(limits), temporary.path());
        disk.create_folder(folder).expect("creates");
        let mut files: Vec<DataFile> =
            (0..10).map(|index| tail(&disk, &folder.join(format!("{index}")), 0, 1 << 20)).collect();
        for round in 0..20_u8 {
            for (index, file) in files.iter_mut().enumerate() {
                file.append(&[index as u8], &[round; 9]).expect("appends");
            }
            for (index, file) in files.iter().enumerate() {
                let read = file.read(u64::from(round) * 10, 10).expect("reads");
                assert_eq!((read[0], &read[1..]), (index as u8, [round; 9].as_slice()));
            }
            let open = disk.open_now();
            assert!(open.descriptors <= 3 && open.mappings <= 2, "{open:?}");
        }
        files.iter().for_each(DataFile::close);
        assert_eq!(disk.open_now(), OpenLimits { descriptors: 0, mappings: 0 });
        assert_eq!(files[7].read(0, 3).expect("reads"), [7, 0, 0][..]);
    }
}

#[test]
fn read_beyond_limit_of_mappings_copies_bytes() {
    let disk = Disk::mapped().with_limits(OpenLimits { descriptors: 2, mappings: 1 });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let read = |index: u8| {
        let mut file = tail(&disk, &folder.path().join(format!("{index}")), 0, 1 << 20);
        file.append(&[], &[index; VIEWED_FROM]).expect("appends");
        file.read(0, VIEWED_FROM).expect("reads")
    };
    // Held bytes keep their mapping alive.
    let held: Vec<_> = (0..10).map(read).collect();
    assert_eq!(disk.open_now().mappings, 3, "three times the limit of pooled ones");
    assert!(held.iter().zip(0..).all(|(bytes, index)| *bytes == [index; VIEWED_FROM][..]));
    drop(held);
    assert_eq!(disk.open_now().mappings, 0);
}
