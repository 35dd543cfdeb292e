//! The agent's end of the wire: reads calls, does them at the same time, writes replies.
