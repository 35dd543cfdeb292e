//! From Compose to the mirror's own model.
