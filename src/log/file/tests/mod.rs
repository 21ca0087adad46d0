//! One suite for all backings, then what only the simulated one does.

use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::data_file::VIEWED_FROM;
use super::mapping::Mapping;
use super::*;

mod cut;

/// Everything is closed again as soon as something else is used.
const ONE_OF_EACH: OpenLimits = OpenLimits { descriptors: 1, mappings: 1 };

fn on_every_backing(story: impl Fn(&Disk, &Path)) {
    for disk in [Disk::mapped(), Disk::plain(), Disk::mapped().with_limits(ONE_OF_EACH)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        story(&disk, &folder.path().join("inside"));
    }
    story(&Disk::simulated(&Simulation::default()), &PathBuf::from("/inside"));
    story(&Disk::simulated(&Simulation::default()).with_limits(ONE_OF_EACH), &PathBuf::from("/inside"));
}

fn tail(disk: &Disk, path: &Path, len: u64, limit: u64) -> DataFile {
    DataFile::open_tail(disk, path, len, limit).expect("opens")
}

#[test]
fn names_come_and_go() {
    on_every_backing(|disk, folder| {
        assert_eq!(disk.list(folder).expect("lists"), None);
        disk.create_folder(folder).expect("creates");
        disk.create_folder(folder).expect("is there already");
        let (a, b) = (folder.join("a"), folder.join("b"));
        assert_eq!(disk.read(&a).expect("reads"), None);
        assert_eq!(disk.len(&a).expect("looks"), None);
        disk.write_aside(&a, b"first", true).expect("writes");
        disk.write_aside(&a, b"second", false).expect("writes");
        assert_eq!(disk.read(&a).expect("reads"), Some(b"second".to_vec()));
        disk.rename(&a, &b).expect("renames");
        assert_eq!(disk.list(folder).expect("lists"), Some(vec!["b".to_owned()]));
        assert_eq!(disk.len(&b).expect("looks"), Some(6));
        disk.sync_folder(folder).expect("syncs");
        disk.remove(&b).expect("removes");
        disk.remove(&b).expect("is gone already");
        assert_eq!(disk.list(folder).expect("lists"), Some(vec![]));
        disk.remove_folder(folder).expect("removes");
        assert_eq!(disk.list(folder).expect("lists"), None);
    });
}

#[test]
fn reserved_room_changes_no_length() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 20);
        file.reserve();
        file.append(b"head", b"body").expect("appends");
        assert_eq!(disk.len(&path).expect("looks"), Some(8));
        file.give_back().expect("gives back");
        file.append(b"more", b"").expect("appends");
        assert_eq!(disk.read(&path).expect("reads"), Some(b"headbodymore".to_vec()));
    });
}

#[test]
fn what_is_appended_is_read() {
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
fn a_tail_is_opened_at_its_last_whole_byte() {
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
fn bytes_outlive_their_file() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 20);
        file.append(b"ke", b"pt").expect("appends");
        let kept = file.read(0, 4).expect("reads");
        file.append(b"", &[6; VIEWED_FROM]).expect("appends");
        let much = file.read(4, VIEWED_FROM).expect("reads");
        file.append(b"", &[7; 700_000]).expect("appends through several mappings");
        drop(file);
        disk.remove(&path).expect("removes");
        assert_eq!(kept, b"kept"[..]);
        assert_eq!(much, [6; VIEWED_FROM][..]);
    });
}

#[test]
fn renaming_replaces_and_moves_folders() {
    on_every_backing(|disk, folder| {
        let (old, new) = (folder.join("t-0"), folder.join("t-0.x-delete"));
        disk.create_folder(&old).expect("creates the folders above, too");
        let (a, b) = (old.join("a"), old.join("b"));
        disk.write_aside(&a, b"a", false).expect("writes");
        disk.write_aside(&b, b"b", false).expect("writes");
        disk.rename(&a, &b).expect("renames onto a file that is there");
        assert_eq!((disk.read(&a).expect("reads"), disk.read(&b).expect("reads")), (None, Some(b"a".to_vec())));
        assert_eq!(disk.rename(&a, &b).expect_err("is gone").kind(), ErrorKind::NotFound);
        let open = disk.open_to_write(&b).expect("opens");
        disk.rename(&old, &new).expect("renames");
        assert_eq!(disk.list(&old).expect("lists"), None);
        assert_eq!(disk.list_folders(folder).expect("lists"), ["t-0.x-delete"]);
        open.write_all_at(1, b"fter").expect("writes to a file wherever it is now");
        assert_eq!(disk.read(&new.join("b")).expect("reads"), Some(b"after".to_vec()));
        disk.remove_folder(&new).expect("removes");
        disk.remove_folder(&new).expect("is gone already");
        assert_eq!(disk.list_folders(folder).expect("lists"), [""; 0]);
    });
}

#[test]
fn a_list_has_files_and_folders() {
    on_every_backing(|disk, folder| {
        disk.create_folder(&folder.join("within")).expect("creates");
        disk.write_aside(&folder.join("file"), b"", false).expect("writes");
        disk.write_aside(&folder.join("within").join("hidden"), b"", false).expect("writes");
        let mut names = disk.list(folder).expect("lists").expect("is there");
        names.sort();
        assert_eq!(names, ["file", "within"]);
        assert_eq!(disk.list_folders(folder).expect("lists"), ["within"]);
        assert_eq!(disk.len(&folder.join("file")).expect("looks"), Some(0));
        assert!(disk.open_to_read(&folder.join("other")).expect("looks").is_none());
        assert!(disk.open_to_write(&folder.join("nowhere").join("file")).is_err(), "no folder is made on the way");
    });
}

#[test]
fn files_are_written_anywhere_and_cut() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("index");
        let file = disk.open_to_write(&path).expect("creates");
        file.write_all_at(3, b"def").expect("writes behind the end");
        file.write_parts_at(0, b"a", b"bc").expect("writes");
        file.write_parts_at(6, b"", b"").expect("writes nothing");
        assert_eq!(disk.read(&path).expect("reads"), Some(b"abcdef".to_vec()));
        file.set_len(4).expect("cuts");
        file.set_len(6).expect("grows");
        assert_eq!((file.len().expect("looks"), disk.read(&path).expect("reads")), (6, Some(b"abcd\0\0".to_vec())));
        let mut bytes = [9; 4];
        assert_eq!(file.read_at(4, &mut bytes).expect("reads what there is"), 2);
        assert_eq!(bytes, [0, 0, 9, 9]);
        assert_eq!(file.read_at(100, &mut bytes).expect("reads"), 0);
        assert_eq!(file.read_exact_at(4, &mut bytes).expect_err("too short").kind(), ErrorKind::UnexpectedEof);
        file.sync().expect("syncs");
        assert_eq!(disk.open_to_write(&path).expect("opens").len().expect("looks"), 6, "opening cuts nothing");
    });
}

#[test]
fn a_sealed_file_shows_what_is_published_of_it() {
    on_every_backing(|disk, folder| {
        disk.create_folder(folder).expect("creates");
        let path = folder.join("data");
        let mut file = tail(disk, &path, 0, 1 << 20);
        file.append(b"01234", b"56789").expect("appends");
        file.sync_handle().sync().expect("syncs");
        file.release();
        assert_eq!(file.read(2, 3).expect("reads"), b"234"[..]);
        drop(file);
        let sealed = DataFile::open_sealed(disk, &path, 7).expect("opens");
        assert!(!sealed.is_writable());
        assert_eq!(sealed.read(0, 7).expect("reads"), b"0123456"[..]);
        assert!(sealed.read(5, 3).is_err(), "what isn't whole batches isn't shown");
        assert_eq!(disk.len(&path).expect("looks"), Some(10), "and isn't cut");
    });
}

#[test]
fn a_file_knows_when_it_was_written() {
    for disk in [Disk::mapped(), Disk::plain()] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("file");
        assert_eq!(disk.modified(&path), 0, "there is none");
        std::fs::write(&path, b"x").expect("writes");
        let then = std::time::UNIX_EPOCH + std::time::Duration::from_millis(1_234_567);
        let file = std::fs::File::options().write(true).open(&path).expect("opens");
        file.set_modified(then).expect("sets the time");
        assert_eq!(disk.modified(&path), 1_234_567);
    }
    let simulation = Simulation::default();
    let (disk, path) = (Disk::simulated(&simulation), Path::new("/f/file"));
    assert_eq!(disk.modified(path), 0, "there is none");
    simulation.put(path, b"x");
    simulation.set_time(1_234_567);
    let file = disk.open_to_write(path).expect("opens");
    assert_eq!(disk.modified(path), 0, "opening writes nothing");
    file.write_all_at(0, b"y").expect("writes");
    assert_eq!(disk.modified(path), 1_234_567);
    simulation.set_time(1_234_568);
    file.set_len(0).expect("cuts");
    assert_eq!(disk.modified(path), 1_234_568);
}

#[test]
fn a_mount_that_allows_mapping_is_mapped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    faults::install().expect("installs");
    let (disk, why_not) = Disk::probe(folder.path());
    assert_eq!(disk.is_mapped(), why_not.is_none());
    assert_eq!(disk.list(folder.path()).expect("lists"), Some(vec![]), "the probe leaves nothing behind");
    let (disk, why_not) = Disk::probe(&folder.path().join("missing"));
    assert!(!disk.is_mapped() && why_not.is_some());
}

#[test]
fn a_mount_that_refuses_mapping_is_read_plainly() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let refuse =
        |_: &std::fs::File, _: usize| Err(io::Error::from_raw_os_error(rustix::io::Errno::NODEV.raw_os_error()));
    let (disk, why_not) = Disk::probe_with(folder.path(), refuse);
    assert!(!disk.is_mapped());
    assert!(why_not.expect("a reason").to_string().starts_with("No such device"));
    // A mount whose mappings don't follow the file: one of another file shows what that would look like.
    let other = folder.path().join("other");
    std::fs::write(&other, [b"written".as_slice(), &[0; 20_000]].concat()).expect("writes");
    let stale = |_: &std::fs::File, len: usize| Mapping::new(&std::fs::File::open(&other)?, len);
    let (disk, why_not) = Disk::probe_with(folder.path(), stale);
    assert!(!disk.is_mapped());
    assert_eq!(why_not.expect("a reason").to_string(), "a mapping doesn't show what is written");
    assert_eq!(disk.list(folder.path()).expect("lists"), Some(vec!["other".to_owned()]), "no probe is left behind");
}

/// Numbers that repeat with the seed.
fn numbers(mut seed: u64) -> impl FnMut() -> u64 {
    move || {
        seed += 1;
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7
    }
}

#[test]
fn power_loss_keeps_what_was_synced() {
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
    disk.write_aside(&folder.join("other"), b"x", false).expect("writes");
    let (mut lengths, mut pages, mut names) = ([false; 2], [false; 2], [false; 2]);
    for seed in 0..40 {
        let survivor = Disk::simulated(&simulation.power_loss(&mut numbers(seed * 1000)));
        let bytes = survivor.read(&path).expect("reads").expect("is there");
        assert_eq!(bytes[..4096], [1; 4096], "a synced page that nobody touched since");
        assert!([10_000, 15_000].contains(&bytes.len()), "{}", bytes.len());
        lengths[usize::from(bytes.len() == 15_000)] = true;
        assert!([1, 2].contains(&bytes[5000]), "either the one or the other");
        pages[usize::from(bytes[5000] == 2)] = true;
        names[usize::from(survivor.read(&folder.join("other")).expect("reads").is_some())] = true;
    }
    assert_eq!((lengths, pages, names), ([true; 2], [true; 2], [true; 2]), "everything happens");
    simulation.crash_at_sync(simulation.syncs() + 1);
    assert!(file.sync().is_err() && file.write_all_at(0, b"x").is_err(), "the machine is gone");
}

#[test]
fn a_folder_is_renamed_as_a_whole_or_not_at_all() {
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

/// A file of two pages that were synced and written again, of which a sync then fails as `how` says: what it reads,
/// and what is left of it once a second sync has gone well and the power was lost.
fn after_failed_sync(how: Fault) -> (u8, u8) {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let path = Path::new("/f/data");
    simulation.put(path, &[1; 8192]);
    let file = disk.open_to_write(path).expect("opens");
    file.write_all_at(0, &[2; 8192]).expect("writes");
    simulation.set_mishaps(move |act| (act == Act::Sync).then_some(how));
    assert!(file.sync().is_err());
    simulation.heal();
    let mut read = [0];
    file.read_exact_at(5000, &mut read).expect("reads");
    file.sync().expect("syncs");
    let survivor = Disk::simulated(&simulation.power_loss(&mut numbers(1)));
    (read[0], survivor.read(path).expect("reads").expect("is there")[5000])
}

#[test]
fn a_sync_fails_in_every_way() {
    assert_eq!(after_failed_sync(Fault::Error), (2, 2), "the next one writes what this one didn't");
    assert_eq!(after_failed_sync(Fault::Forgets), (2, 1), "the page cache has what the disk will never get");
    assert_eq!(after_failed_sync(Fault::Reverts), (1, 1));
}

#[test]
fn short_reads_and_writes_are_nothing_to_worry_about() {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let path = Path::new("/f/data");
    simulation.put(path, b"");
    let mut number = numbers(5);
    simulation.set_mishaps(move |act| {
        let short = matches!(act, Act::Read | Act::Write) && !number().is_multiple_of(3);
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
fn every_act_can_fail() {
    let simulation = Simulation::default();
    let disk = Disk::simulated(&simulation);
    let path = Path::new("/f/data");
    simulation.put(path, b"before");
    let file = disk.open_to_write(path).expect("opens");
    let fails = |act: Act, fault: Fault| {
        simulation.set_mishaps(move |done| (done == act).then_some(fault));
        let outcome = match act {
            Act::Look => disk.list(Path::new("/f")).map(drop),
            Act::Read => disk.read(path).map(drop),
            Act::Write => file.write_all_at(0, b"written"),
            Act::Change => disk.rename(path, Path::new("/f/other")),
            Act::Sync => file.sync(),
        };
        simulation.heal();
        outcome.expect_err("fails").kind()
    };
    for act in [Act::Look, Act::Read, Act::Write, Act::Change, Act::Sync] {
        assert_eq!(fails(act, Fault::Error), ErrorKind::Other, "{act:?}");
    }
    assert_eq!(fails(Act::Write, Fault::Full), ErrorKind::StorageFull);
    assert_eq!(fails(Act::Change, Fault::Full), ErrorKind::StorageFull);
    assert_eq!(disk.read(path).expect("reads"), Some(b"wriore".to_vec()), "half of what failed was written");
}

#[test]
fn many_files_share_a_few_descriptors_and_mappings() {
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
        files.iter().for_each(DataFile::release);
        assert_eq!(disk.open_now(), OpenLimits { descriptors: 0, mappings: 0 });
        assert_eq!(files[7].read(0, 3).expect("reads"), [7, 0, 0][..]);
    }
}

#[test]
fn with_too_many_mappings_in_use_bytes_are_copied() {
    let disk = Disk::mapped().with_limits(OpenLimits { descriptors: 2, mappings: 1 });
    let folder = tempfile::tempdir().expect("a temporary folder");
    let read = |index: u8| {
        let mut file = tail(&disk, &folder.path().join(format!("{index}")), 0, 1 << 20);
        file.append(&[], &[index; VIEWED_FROM]).expect("appends");
        file.read(0, VIEWED_FROM).expect("reads")
    };
    // Whoever holds bytes holds the mapping they are in.
    let held: Vec<_> = (0..10).map(read).collect();
    assert_eq!(disk.open_now().mappings, 3, "three times as many as are kept");
    assert!(held.iter().zip(0..).all(|(bytes, index)| *bytes == [index; VIEWED_FROM][..]));
    drop(held);
    assert_eq!(disk.open_now().mappings, 0);
}
