//! The control plane as an SDK sees it, one operation after another.
