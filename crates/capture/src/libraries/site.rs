//! Where to put a probe into a function, so that it costs the traced program little.
//!
//! The kernel emulates a few instructions of a probed place and must single-step all others, which takes about fifteen times as
//! long. So a probe goes to the first instruction that is emulated, if nothing before it changes an argument or the stack:
//! then all is as it was at the entry. Source: arch/x86/kernel/uprobes.c (branch_setup_insn, push_setup_insn).

use iced_x86::{
    Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, Register,
};

/// Instructions looked at for a better place.
const LOOK_AHEAD: usize = 4;

/// Bytes of a function that are looked at.
pub const MAX_CODE: usize = 128 << 10;

/// The registers that arguments come in, and the stack.
const KEPT: [Register; 7] =
    [Register::RDI, Register::RSI, Register::RDX, Register::RCX, Register::R8, Register::R9, Register::RSP];

/// Offset from the function's begin where a probe for its entry goes.
pub fn entry(code: &[u8]) -> u64 {
    let mut decoder = Decoder::with_ip(64, code, 0, DecoderOptions::NONE);
    let mut factory = InstructionInfoFactory::new();
    for _ in 0..LOOK_AHEAD {
        let instruction = decoder.decode();
        if instruction.is_invalid() {
            return 0;
        }
        if is_emulated(&instruction) {
            let at = instruction.ip();
            return if is_jumped_to(code, at) { 0 } else { at };
        }
        if instruction.flow_control() != FlowControl::Next || changes_state(&mut factory, &instruction) {
            return 0;
        }
    }
    0
}

fn is_emulated(instruction: &Instruction) -> bool {
    match instruction.flow_control() {
        FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch | FlowControl::Call => {
            instruction.is_jcc_short_or_near() || instruction.is_jmp_short_or_near() || instruction.is_call_near()
        }
        FlowControl::Next => {
            instruction.mnemonic() == Mnemonic::Push && instruction.op0_register().is_gpr64()
                || instruction.mnemonic() == Mnemonic::Nop && instruction.len() == 1
        }
        _ => false,
    }
}

/// Whether an argument, the stack or memory is not afterwards as it was.
fn changes_state(factory: &mut InstructionInfoFactory, instruction: &Instruction) -> bool {
    let writes = |access: OpAccess| {
        !matches!(access, OpAccess::None | OpAccess::Read | OpAccess::CondRead | OpAccess::NoMemAccess)
    };
    let info = factory.info(instruction);
    info.used_memory().iter().any(|memory| writes(memory.access()))
        || info
            .used_registers()
            .iter()
            .any(|used| writes(used.access()) && KEPT.contains(&used.register().full_register()))
}

/// Whether the function jumps back to where the probe would be.
fn is_jumped_to(code: &[u8], at: u64) -> bool {
    at != 0
        && Decoder::with_ip(64, code, 0, DecoderOptions::NONE).into_iter().any(|instruction| {
            matches!(instruction.flow_control(), FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch)
                && (1..=at).contains(&instruction.near_branch_target())
        })
}

/// Offsets of all return instructions; `None` when the function also ends in another way that cannot be probed.
pub fn exits(code: &[u8]) -> Option<Vec<u64>> {
    let mut exits = Vec::new();
    let end = u64::try_from(code.len()).ok()?;
    for instruction in Decoder::with_ip(64, code, 0, DecoderOptions::NONE) {
        match instruction.flow_control() {
            _ if instruction.is_invalid() => return None,
            FlowControl::Return => exits.push(instruction.ip()),
            // Into another function, which then returns to our caller.
            FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
                if instruction.near_branch_target() >= end =>
            {
                return None;
            }
            FlowControl::IndirectBranch => return None,
            _ => {}
        }
    }
    (!exits.is_empty()).then_some(exits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_probe_goes_where_it_is_cheap() {
        // push %rbx; sub $0x30,%rsp
        assert_eq!(entry(&[0x53, 0x48, 0x83, 0xec, 0x30]), 0);
        // endbr64; push %rbp; ret
        assert_eq!(entry(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0xc3]), 4);
        // endbr64; push %r12; ret
        assert_eq!(entry(&[0xf3, 0x0f, 0x1e, 0xfa, 0x41, 0x54, 0xc3]), 4);
        // cmpq $0,0x30(%rdi); je +9; ret
        assert_eq!(entry(&[0x48, 0x83, 0x7f, 0x30, 0x00, 0x74, 0x09, 0xc3]), 5);
    }

    #[test]
    fn never_where_an_argument_or_the_stack_has_changed() {
        // mov %esi,%edi; push %rbp; ret
        assert_eq!(entry(&[0x89, 0xf7, 0x55, 0xc3]), 0);
        // sub $0x10,%rsp; push $0; call
        assert_eq!(entry(&[0x48, 0x83, 0xec, 0x10, 0x6a, 0x00]), 0);
        // endbr64; push %rbp; jmp back to the push: it would be counted again
        assert_eq!(entry(&[0xf3, 0x0f, 0x1e, 0xfa, 0x55, 0xeb, 0xfd]), 0);
        assert_eq!(entry(&[]), 0);
    }

    #[test]
    fn all_ways_out_or_none() {
        // test %edi,%edi; je +1; ret; ret
        assert_eq!(exits(&[0x85, 0xff, 0x74, 0x01, 0xc3, 0xc3]), Some(vec![4, 5]));
        // jmp out
        assert_eq!(exits(&[0xc3, 0xe9, 0, 1, 0, 0]), None);
        // jmp *%rax
        assert_eq!(exits(&[0xc3, 0xff, 0xe0]), None);
    }
}
