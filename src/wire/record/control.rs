//! Control records: what the broker itself writes between a client's records.
//!
//! The key of a control record is a version and a type (Kafka's `ControlRecordType`); the value is
//! that type's own message. Only the transaction markers' value is spelled out here, KRaft's belong
//! to the metadata log.

use bytes::Buf;

use super::error::RecordError;

/// What a control record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(i16)]
pub enum ControlType {
    Abort = 0,
    Commit = 1,
    LeaderChange = 2,
    SnapshotHeader = 3,
    SnapshotFooter = 4,
    KRaftVersion = 5,
    KRaftVoters = 6,
}

impl ControlType {
    /// The record's key: `i16` version 0, `i16` type.
    pub fn to_key(self) -> [u8; 4] {
        let [high, low] = (self as i16).to_be_bytes();
        [0, 0, high, low]
    }

    /// Reads a control record's key. `None` for a type this broker doesn't know, which a reader
    /// skips; `Invalid` when the key is too short to have one.
    pub fn from_key(mut key: &[u8]) -> Result<Option<ControlType>, RecordError> {
        if key.len() < 4 {
            return Err(RecordError::invalid(format!("control record key of {} bytes", key.len())));
        }
        if key.get_i16() < 0 {
            return Err(RecordError::invalid("control record key with a negative version"));
        }
        Ok(match key.get_i16() {
            0 => Some(ControlType::Abort),
            1 => Some(ControlType::Commit),
            2 => Some(ControlType::LeaderChange),
            3 => Some(ControlType::SnapshotHeader),
            4 => Some(ControlType::SnapshotFooter),
            5 => Some(ControlType::KRaftVersion),
            6 => Some(ControlType::KRaftVoters),
            _ => None,
        })
    }
}

/// The value of an `Abort` or `Commit` record (Kafka's `EndTxnMarker`, version 0).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndTxnMarker {
    /// Epoch of the transaction coordinator that ended the transaction.
    pub coordinator_epoch: i32,
}

impl EndTxnMarker {
    pub fn to_value(self) -> [u8; 6] {
        let [a, b, c, d] = self.coordinator_epoch.to_be_bytes();
        [0, 0, a, b, c, d]
    }

    /// Reads the value; later versions may append to it. `Invalid` when it is too short.
    pub fn from_value(mut value: &[u8]) -> Result<EndTxnMarker, RecordError> {
        if value.len() < 6 {
            return Err(RecordError::invalid(format!("transaction marker of {} bytes", value.len())));
        }
        if value.get_i16() < 0 {
            return Err(RecordError::invalid("transaction marker with a negative version"));
        }
        Ok(EndTxnMarker { coordinator_epoch: value.get_i32() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_come_back() {
        for (number, control) in [
            ControlType::Abort,
            ControlType::Commit,
            ControlType::LeaderChange,
            ControlType::SnapshotHeader,
            ControlType::SnapshotFooter,
            ControlType::KRaftVersion,
            ControlType::KRaftVoters,
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(control.to_key(), [0, 0, 0, number as u8]);
            assert_eq!(ControlType::from_key(&control.to_key()), Ok(Some(control)));
        }
        assert_eq!(ControlType::from_key(&[0, 0, 0, 7]), Ok(None));
        assert_eq!(ControlType::from_key(&[0, 1, 0, 1, 9]), Ok(Some(ControlType::Commit)));
        assert!(ControlType::from_key(&[0, 0, 0]).is_err());
        assert!(ControlType::from_key(&[0xff, 0xff, 0, 0]).is_err());
    }

    #[test]
    fn markers_come_back() {
        let marker = EndTxnMarker { coordinator_epoch: 0x0102_0304 };
        assert_eq!(marker.to_value(), [0, 0, 1, 2, 3, 4]);
        assert_eq!(EndTxnMarker::from_value(&marker.to_value()), Ok(marker));
        assert!(EndTxnMarker::from_value(&[0, 0, 0, 0, 1]).is_err());
    }
}
