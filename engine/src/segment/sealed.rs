//! Reading a sealed segment through its map.
