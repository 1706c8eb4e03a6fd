//! Programs.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use super::{bpf_fd, object_info, object_name};
use crate::bpf::asm::Instruction;

const PROG_LOAD: u32 = 5;
const PROG_TYPE_SCHED_CLS: u32 = 3;
/// What the verifier has to say about 200 instructions fits well.
const LOG_BYTES: usize = 64 * 1024;
/// None of the helpers in use asks for the GPL.
const LICENSE: &[u8] = b"MIT OR Apache-2.0\0";

#[repr(C)]
struct ProgramAttr {
    kind: u32,
    instructions: u32,
    code: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
}

/// Loads a program; the error carries the verifier's last words.
pub(in crate::bpf) fn program_load(code: &[Instruction], name: &str) -> io::Result<OwnedFd> {
    let mut attr = ProgramAttr {
        kind: PROG_TYPE_SCHED_CLS,
        instructions: u32::try_from(code.len()).unwrap_or(u32::MAX),
        code: code.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        log_level: 0,
        log_bytes: 0,
        log: 0,
        kernel_version: 0,
        flags: 0,
        name: object_name(name),
    };
    let error = match bpf_fd(PROG_LOAD, &mut attr) {
        Ok(program) => return Ok(program),
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => return Err(error),
        Err(error) => error,
    };
    let mut log = vec![0u8; LOG_BYTES];
    attr.log = log.as_mut_ptr() as u64;
    attr.log_bytes = u32::try_from(LOG_BYTES).unwrap_or(u32::MAX);
    attr.log_level = 1;
    bpf_fd(PROG_LOAD, &mut attr).map_err(|_| {
        let text = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = text.trim_end_matches(['\0', '\n']).lines().collect();
        let last = &lines[lines.len().saturating_sub(12)..];
        io::Error::new(error.kind(), format!("{error}: {}", last.join("; ")))
    })
}

/// The number under which other interfaces of the kernel name a program.
pub(in crate::bpf) fn program_id(program: BorrowedFd<'_>) -> io::Result<u32> {
    let mut info = [0u32; 2];
    object_info(program, &mut info)?;
    Ok(info[1])
}
