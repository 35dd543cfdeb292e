//! Verdict: pass, block or inconclusive, from the record alone.
