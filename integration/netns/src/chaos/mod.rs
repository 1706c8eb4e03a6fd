//! Chaos on real packets: random faults on the real binaries, and whether two nodes ever owned an address.
//!
//! One seed decides the faults ([`plan`]): batches of one to three that overlap, with pauses between. After each batch nothing more
//! happens until commands are undone and every group serves. All the while a client asks each address every millisecond and notes
//! who answered; a sniffer on the switch notes who uses each address, with the kernel's stamp of the sending; and a stranger asks the whole
//! network every 25 ms who has it, so that an owner whom no client asks any more would still be heard.
//!
//! | what is demanded | how it is judged |
//! | --- | --- |
//! | no two owners | [`sighting`]: no host acts in an address's name after another did so under a newer epoch of the committed history |
//! | every group that may run serves within 2 s | [`heal`]: no silence of at least 100 ms of any of its addresses ends later than 2 s after the last fault's end. Later begins the time of a group whose command had to be undone, or that was displaced or stopped by then, as the history says |
//! | no memory is lost | [`memory`]: in runs of more than six minutes |
//! | nothing ends by accident | a daemon that ends by itself is started again, as its unit does, and told; one that panicked is a violation |
//!
//! [`steady`] lets one condition last instead: loss, or processes that want to run all the time.
//!
//! Clients' cables lose nothing. A daemon whose gate is detached is not killed, frozen or cut off in the same batch: the kernel cannot
//! end a lease with what was taken from it. All hosts have one clock, this machine's: slewing it slews all.

pub mod clock;
pub mod dice;
pub mod heal;
pub mod kind;
pub mod memory;
pub mod observe;
pub mod owners;
pub mod plan;
pub mod run;
pub mod scene;
pub mod sighting;
pub mod silence;
pub mod steady;
pub mod strike;
pub mod tally;
pub mod trace;
pub mod verdict;
