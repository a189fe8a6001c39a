//! The epoch's secret, sealed to the two archive keys.
