//! One suite for all backings.

use std::path::{Path, PathBuf};

use super::*;

fn on_every_backing(story: impl Fn(&Disk, &Path)) {
    for disk in [Disk::mapped(), Disk::plain()] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        story(&disk, &folder.path().join("inside"));
    }
    story(&Disk::simulated(&Simulation::default()), &PathBuf::from("/inside"));
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
        file.append(b"", &[7; 700_000]).expect("appends through several mappings");
        drop(file);
        disk.remove(&path).expect("removes");
        assert_eq!(kept, b"kept"[..]);
    });
}

#[test]
fn a_mount_that_allows_mapping_is_mapped() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (disk, why_not) = Disk::probe(folder.path());
    assert_eq!(disk.is_mapped(), why_not.is_none());
    assert_eq!(disk.list(folder.path()).expect("lists"), Some(vec![]), "the probe leaves nothing behind");
    let (disk, why_not) = Disk::probe(&folder.path().join("missing"));
    assert!(!disk.is_mapped() && why_not.is_some());
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
    let mut seed = 0_u64;
    let survivor = Disk::simulated(&simulation.power_loss(&mut || {
        seed += 1;
        seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 7
    }));
    let bytes = survivor.read(&path).expect("reads").expect("is there");
    assert_eq!(bytes[..4096], [1; 4096], "a synced page that nobody touched since");
    assert!(bytes.len() >= 10_000);
    simulation.crash_at_sync(simulation.syncs() + 1);
    assert!(file.sync().is_err() && file.write_all_at(0, b"x").is_err(), "the machine is gone");
}
