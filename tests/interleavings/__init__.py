"""Writers beside a running job, in hundreds of seeded interleavings: what they committed in time must stand."""
