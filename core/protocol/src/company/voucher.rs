//! Who vouches for a new device.
