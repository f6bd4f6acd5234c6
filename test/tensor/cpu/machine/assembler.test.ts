// The bytes of every instruction that the assembler makes, beside the instruction as GNU objdump 2.40 reads them
// (`objdump -D -b binary -m i386:x86-64 -M intel`), over all registers and the ways to name a place in memory.

import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  Assembler,
  at,
  type Instructions,
  indexed,
  r8,
  r9,
  r10,
  r11,
  r12,
  r13,
  r14,
  r15,
  rax,
  rbp,
  rbx,
  rcx,
  rdi,
  rdx,
  rsi,
  rsp,
} from '../../../../src/tensor/cpu/machine/assembler.ts'

type Emit = (a: Assembler) => void
/** bytes, the instructions that they are, and the call that makes them */
type Row = readonly [bytes: string, text: string, emit: Emit]

/** Instructions on integers, the same for both. Bases rsp, rbp, r12 and r13 and the index r12 have encodings of their own. */
// biome-ignore format: a table
const general: readonly Row[] = [
  ['48 8b c1', 'mov rax,rcx', a => a.move(rax, rcx)],
  ['4c 8b c7', 'mov r8,rdi', a => a.move(r8, rdi)],
  ['49 8b f7', 'mov rsi,r15', a => a.move(rsi, r15)],
  ['48 8b 02', 'mov rax,QWORD [rdx]', a => a.move(rax, at(rdx))],
  ['48 8b 0c 24', 'mov rcx,QWORD [rsp]', a => a.move(rcx, at(rsp))],
  ['48 8b 4c 24 08', 'mov rcx,QWORD [rsp+0x8]', a => a.move(rcx, at(rsp, 8))],
  ['48 8b 8c 24 00 10 00 00', 'mov rcx,QWORD [rsp+0x1000]', a => a.move(rcx, at(rsp, 4096))],
  ['48 8b 55 00', 'mov rdx,QWORD [rbp+0x0]', a => a.move(rdx, at(rbp))],
  ['48 8b 55 80', 'mov rdx,QWORD [rbp-0x80]', a => a.move(rdx, at(rbp, -128))],
  ['48 8b 95 80 00 00 00', 'mov rdx,QWORD [rbp+0x80]', a => a.move(rdx, at(rbp, 128))],
  ['49 8b 1c 24', 'mov rbx,QWORD [r12]', a => a.move(rbx, at(r12))],
  ['4d 8b 4c 24 7f', 'mov r9,QWORD [r12+0x7f]', a => a.move(r9, at(r12, 127))],
  ['4d 8b 55 00', 'mov r10,QWORD [r13+0x0]', a => a.move(r10, at(r13))],
  ['4d 8b 9d 7f ff ff ff', 'mov r11,QWORD [r13-0x81]', a => a.move(r11, at(r13, -129))],
  ['48 8b 04 0b', 'mov rax,QWORD [rbx+rcx*1]', a => a.move(rax, indexed(rbx, rcx))],
  ['48 8b 04 6c', 'mov rax,QWORD [rsp+rbp*2]', a => a.move(rax, indexed(rsp, rbp, 2))],
  ['4a 8b 44 a5 00', 'mov rax,QWORD [rbp+r12*4+0x0]', a => a.move(rax, indexed(rbp, r12, 4))],
  ['4f 8b 74 ec 10', 'mov r14,QWORD [r12+r13*8+0x10]', a => a.move(r14, indexed(r12, r13, 8, 16))],
  ['4f 8b 74 e5 00', 'mov r14,QWORD [r13+r12*8+0x0]', a => a.move(r14, indexed(r13, r12, 8))],
  ['4a 8b bc 06 18 fc ff ff', 'mov rdi,QWORD [rsi+r8*1-0x3e8]', a => a.move(rdi, indexed(rsi, r8, 1, -1000))],
  ['ff d0', 'call rax', a => a.callRegister(rax)],
  ['41 ff d1', 'call r9', a => a.callRegister(r9)],
  ['f2 49 0f 2c 50 18', 'cvttsd2si rdx,QWORD [r8+0x18]', a => a.truncate(rdx, at(r8, 24))],
  ['40 80 39 00', 'cmp BYTE [rcx],0x0', a => a.isZeroByte(at(rcx))],
  ['40 c7 46 04 00 00 80 ff', 'mov DWORD [rsi+0x4],0xff800000', a => a.storeNumber(at(rsi, 4), 0xff800000)],
  ['48 c7 c0 01 00 00 00', 'mov rax,0x1', a => a.set(rax, 1)],
  ['49 c7 c7 ff ff ff ff', 'mov r15,0xffffffffffffffff', a => a.set(r15, -1)],
  ['48 c7 c7 ff ff ff 7f', 'mov rdi,0x7fffffff', a => a.set(rdi, 0x7fffffff)],
  ['4c 89 8d d0 00 00 00', 'mov QWORD [rbp+0xd0],r9', a => a.store(at(rbp, 208), r9)],
  ['4a 89 04 e7', 'mov QWORD [rdi+r12*8],rax', a => a.store(indexed(rdi, r12, 8), rax)],
  ['48 63 46 04', 'movsxd rax,DWORD [rsi+0x4]', a => a.loadInteger(rax, at(rsi, 4))],
  ['4f 63 6c b5 00', 'movsxd r13,DWORD [r13+r14*4+0x0]', a => a.loadInteger(r13, indexed(r13, r14, 4))],
  ['41 8b 02', 'mov eax,DWORD [r10]', a => a.loadBits(rax, at(r10))],
  ['44 8b 4c 24 04', 'mov r9d,DWORD [rsp+0x4]', a => a.loadBits(r9, at(rsp, 4))],
  ['41 89 03', 'mov DWORD [r11],eax', a => a.storeBits(at(r11), rax)],
  ['44 89 45 00', 'mov DWORD [rbp+0x0],r8d', a => a.storeBits(at(rbp), r8)],
  ['48 8d 0c 49', 'lea rcx,[rcx+rcx*2]', a => a.address(rcx, indexed(rcx, rcx, 2))],
  ['4f 8d 7c 49 40', 'lea r15,[r9+r9*2+0x40]', a => a.address(r15, indexed(r9, r9, 2, 64))],
  ['48 03 c1', 'add rax,rcx', a => a.plus(rax, rcx)],
  ['4c 03 45 58', 'add r8,QWORD [rbp+0x58]', a => a.plus(r8, at(rbp, 88))],
  ['48 81 c4 00 ff ff ff', 'add rsp,0xffffffffffffff00', a => a.plus(rsp, { value: -256 })],
  ['49 83 c4 7f', 'add r12,0x7f', a => a.plus(r12, { value: 127 })],
  ['48 81 c7 80 00 00 00', 'add rdi,0x80', a => a.plus(rdi, { value: 128 })],
  ['49 2b c0', 'sub rax,r8', a => a.minus(rax, r8)],
  ['4d 2b 6d 00', 'sub r13,QWORD [r13+0x0]', a => a.minus(r13, at(r13))],
  ['48 83 ea 80', 'sub rdx,0xffffffffffffff80', a => a.minus(rdx, { value: -128 })],
  ['49 81 e9 e8 03 00 00', 'sub r9,0x3e8', a => a.minus(r9, { value: 1000 })],
  ['48 83 e0 c0', 'and rax,0xffffffffffffffc0', a => a.bitsAnd(rax, -64)],
  ['49 81 e2 ff 0f 00 00', 'and r10,0xfff', a => a.bitsAnd(r10, 4095)],
  ['48 3b c2', 'cmp rax,rdx', a => a.compare(rax, rdx)],
  ['4d 3b 44 24 08', 'cmp r8,QWORD [r12+0x8]', a => a.compare(r8, at(r12, 8))],
  ['49 83 ff 00', 'cmp r15,0x0', a => a.compare(r15, { value: 0 })],
  ['48 81 f9 e0 01 00 00', 'cmp rcx,0x1e0', a => a.compare(rcx, { value: 480 })],
  ['48 0f af c8', 'imul rcx,rax', a => a.times(rcx, rax)],
  ['4c 0f af 75 38', 'imul r14,QWORD [rbp+0x38]', a => a.times(r14, at(rbp, 56))],
  ['48 99 48 f7 f9', 'cqo; idiv rcx', a => a.divide(rcx)],
  ['48 99 49 f7 f9', 'cqo; idiv r9', a => a.divide(r9)],
  ['48 c1 e0 06', 'shl rax,0x6', a => a.shiftLeft(rax, 6)],
  ['49 c1 e4 02', 'shl r12,0x2', a => a.shiftLeft(r12, 2)],
  ['48 c1 fa 03', 'sar rdx,0x3', a => a.shiftRight(rdx, 3)],
  ['49 c1 ff 01', 'sar r15,0x1', a => a.shiftRight(r15, 1)],
  ['48 0f 44 c1', 'cmove rax,rcx', a => a.moveIf('equal', rax, rcx)],
  ['4c 0f 45 c1', 'cmovne r8,rcx', a => a.moveIf('notEqual', r8, rcx)],
  ['49 0f 4c c1', 'cmovl rax,r9', a => a.moveIf('less', rax, r9)],
  ['48 0f 4d dd', 'cmovge rbx,rbp', a => a.moveIf('atLeast', rbx, rbp)],
  ['4d 0f 4e e5', 'cmovle r12,r13', a => a.moveIf('atMost', r12, r13)],
  ['48 0f 4f c8', 'cmovg rcx,rax', a => a.moveIf('greater', rcx, rax)],
  ['53', 'push rbx', a => a.push(rbx)],
  ['41 54', 'push r12', a => a.push(r12)],
  ['5d', 'pop rbp', a => a.pop(rbp)],
  ['41 5f', 'pop r15', a => a.pop(r15)],
  ['c5 f8 77 c3', 'vzeroupper; ret', a => a.return()],
  ['c3', 'ret', a => a.back()],
]

// biome-ignore format: a table
const avx2: readonly Row[] = [
  ['c4 c1 64 58 c1', 'vaddps ymm0,ymm3,ymm9', a => a.combine('add', 0, 3, 9)],
  ['c4 e1 3c 59 c8', 'vmulps ymm1,ymm8,ymm0', a => a.combine('multiply', 1, 8, 0)],
  ['c4 e1 14 5c d7', 'vsubps ymm2,ymm13,ymm7', a => a.combine('subtract', 2, 13, 7)],
  ['c4 c1 6c 5d de', 'vminps ymm3,ymm2,ymm14', a => a.combine('minimum', 3, 2, 14)],
  ['c4 e1 44 5e e5', 'vdivps ymm4,ymm7,ymm5', a => a.combine('divide', 4, 7, 5)],
  ['c4 c1 1c 5f ec', 'vmaxps ymm5,ymm12,ymm12', a => a.combine('maximum', 5, 12, 12)],
  ['c4 e1 74 54 f3', 'vandps ymm6,ymm1,ymm3', a => a.combine('and', 6, 1, 3)],
  ['c4 c1 4c 56 fa', 'vorps ymm7,ymm6,ymm10', a => a.combine('or', 7, 6, 10)],
  ['c4 61 24 57 c1', 'vxorps ymm8,ymm11,ymm1', a => a.combine('xor', 8, 11, 1)],
  ['c4 41 7d fe c8', 'vpaddd ymm9,ymm0,ymm8', a => a.combine('addIntegers', 9, 0, 8)],
  ['c4 41 55 fa d7', 'vpsubd ymm10,ymm5,ymm15', a => a.combine('subtractIntegers', 10, 5, 15)],
  ['c4 61 2c 14 de', 'vunpcklps ymm11,ymm10,ymm6', a => a.combine('unpackLow', 11, 10, 6)],
  ['c4 41 04 15 e5', 'vunpckhps ymm12,ymm15,ymm13', a => a.combine('unpackHigh', 12, 15, 13)],
  ['c4 62 5d b8 ec', 'vfmadd231ps ymm13,ymm4,ymm4', a => a.combine('addProduct', 13, 4, 4)],
  ['c4 42 35 bc f3', 'vfnmadd231ps ymm14,ymm9,ymm11', a => a.combine('subtractProduct', 14, 9, 11)],
  ['c4 62 0d a8 fa', 'vfmadd213ps ymm15,ymm14,ymm2', a => a.combine('multiplyAdd', 15, 14, 2)],
  ['c4 61 0c 58 0c 24', 'vaddps ymm9,ymm14,YMMWORD [rsp]', a => a.combine('add', 9, 14, at(rsp))],
  ['c4 61 0c 58 4d 00', 'vaddps ymm9,ymm14,YMMWORD [rbp+0x0]', a => a.combine('add', 9, 14, at(rbp))],
  ['c4 41 0c 58 4c 24 40', 'vaddps ymm9,ymm14,YMMWORD [r12+0x40]', a => a.combine('add', 9, 14, at(r12, 64))],
  ['c4 41 0c 58 4d 00', 'vaddps ymm9,ymm14,YMMWORD [r13+0x0]', a => a.combine('add', 9, 14, at(r13))],
  ['c4 61 0c 58 48 7f', 'vaddps ymm9,ymm14,YMMWORD [rax+0x7f]', a => a.combine('add', 9, 14, at(rax, 127))],
  ['c4 61 0c 58 88 80 00 00 00', 'vaddps ymm9,ymm14,YMMWORD [rax+0x80]', a => a.combine('add', 9, 14, at(rax, 128))],
  ['c4 61 0c 58 8a c0 1f 00 00', 'vaddps ymm9,ymm14,YMMWORD [rdx+0x1fc0]', a => a.combine('add', 9, 14, at(rdx, 8128))],
  ['c4 61 0c 58 8a 00 20 00 00', 'vaddps ymm9,ymm14,YMMWORD [rdx+0x2000]', a => a.combine('add', 9, 14, at(rdx, 8192))],
  ['c4 61 0c 58 8a 00 e0 ff ff', 'vaddps ymm9,ymm14,YMMWORD [rdx-0x2000]', a => a.combine('add', 9, 14, at(rdx, -8192))],
  ['c4 61 0c 58 8a c0 df ff ff', 'vaddps ymm9,ymm14,YMMWORD [rdx-0x2040]', a => a.combine('add', 9, 14, at(rdx, -8256))],
  ['c4 41 0c 58 49 04', 'vaddps ymm9,ymm14,YMMWORD [r9+0x4]', a => a.combine('add', 9, 14, at(r9, 4))],
  ['c4 61 0c 58 0c 1e', 'vaddps ymm9,ymm14,YMMWORD [rsi+rbx*1]', a => a.combine('add', 9, 14, indexed(rsi, rbx))],
  ['c4 01 0c 58 4c a5 00', 'vaddps ymm9,ymm14,YMMWORD [r13+r12*4+0x0]', a => a.combine('add', 9, 14, indexed(r13, r12, 4))],
  ['c4 21 0c 58 4c fd 40', 'vaddps ymm9,ymm14,YMMWORD [rbp+r15*8+0x40]', a => a.combine('add', 9, 14, indexed(rbp, r15, 8, 64))],
  ['c4 41 0c 58 4c 44 64', 'vaddps ymm9,ymm14,YMMWORD [r12+rax*2+0x64]', a => a.combine('add', 9, 14, indexed(r12, rax, 2, 100))],
  ['c4 c1 7c 28 dc', 'vmovaps ymm3,ymm12', a => a.loadVector(3, 12)],
  ['c4 61 7c 28 e3', 'vmovaps ymm12,ymm3', a => a.loadVector(12, 3)],
  ['c4 61 7c 10 46 20', 'vmovups ymm8,YMMWORD [rsi+0x20]', a => a.loadVector(8, at(rsi, 32))],
  ['c4 e2 05 2c 06', 'vmaskmovps ymm0,ymm15,YMMWORD [rsi]', a => a.loadVector(0, at(rsi), { register: 15 })],
  ['c4 02 6d 2c 0c 88', 'vmaskmovps ymm9,ymm2,YMMWORD [r8+r9*4]', a => a.loadVector(9, indexed(r8, r9, 4), { register: 2 })],
  ['c4 41 7c 11 5c 24 20', 'vmovups YMMWORD [r12+0x20],ymm11', a => a.storeVector(at(r12, 32), 11)],
  ['c4 e2 05 2e 3f', 'vmaskmovps YMMWORD [rdi],ymm15,ymm7', a => a.storeVector(at(rdi), 7, { register: 15 })],
  ['c4 41 14 57 ed', 'vxorps ymm13,ymm13,ymm13', a => a.zero(13)],
  ['c4 c2 7d 18 20', 'vbroadcastss ymm4,DWORD [r8]', a => a.broadcast(4, at(r8))],
  ['c4 42 7d 18 34 4b', 'vbroadcastss ymm14,DWORD [r11+rcx*2]', a => a.broadcast(14, indexed(r11, rcx, 2))],
  ['c4 c2 7d 18 d2', 'vbroadcastss ymm2,xmm10', a => a.broadcast(2, 10)],
  ['c4 c1 7c 51 cf', 'vsqrtps ymm1,ymm15', a => a.squareRoot(1, 15)],
  ['c4 c1 55 72 f4 17', 'vpslld ymm5,ymm12,0x17', a => a.shift('left', 5, 12, 23)],
  ['c4 e1 0d 72 d2 01', 'vpsrld ymm14,ymm2,0x1', a => a.shift('right', 14, 2, 1)],
  ['c4 c1 7d 72 e1 1f', 'vpsrad ymm0,ymm9,0x1f', a => a.shift('rightSigned', 0, 9, 31)],
  ['c4 e1 24 c6 f3 44', 'vshufps ymm6,ymm11,ymm3,0x44', a => a.shuffle(6, 11, 3, 0x44)],
  ['c4 41 7c c6 e5 ee', 'vshufps ymm12,ymm0,ymm13,0xee', a => a.shuffle(12, 0, 13, 0xee)],
  ['c4 c3 2d 18 52 10 01', 'vinsertf128 ymm2,ymm10,XMMWORD [r10+0x10],0x1', a => a.insertFour(2, 10, at(r10, 16), 1)],
  ['c4 63 7d 19 e3 01', 'vextractf128 xmm3,ymm12,0x1', a => a.extractFour(3, 12, 1)],
  ['c4 c3 7d 19 e1 00', 'vextractf128 xmm9,ymm4,0x0', a => a.extractFour(9, 4, 0)],
  ['c4 61 78 10 56 08', 'vmovups xmm10,XMMWORD [rsi+0x8]', a => a.loadFour(10, at(rsi, 8))],
  ['c4 c1 30 58 cc', 'vaddps xmm1,xmm9,xmm12', a => a.combineLow('add', 4, 1, 9, 12)],
  ['c4 61 78 5f c7', 'vmaxps xmm8,xmm0,xmm7', a => a.combineLow('maximum', 4, 8, 0, 7)],
  ['c4 41 6c 58 cc', 'vaddps ymm9,ymm2,ymm12', a => a.combineLow('add', 8, 9, 2, 12)],
  ['c4 e2 11 a8 ca', 'vfmadd213ps xmm1,xmm13,xmm2', a => a.combineLow('multiplyAdd', 4, 1, 13, 2)],
  ['c4 63 7d 19 e3 01', 'vextractf128 xmm3,ymm12,0x1', a => a.upperHalf(3, 12)],
  ['c4 43 6d 18 eb 01', 'vinsertf128 ymm13,ymm2,xmm11,0x1', a => a.join(13, 2, 11)],
  ['c4 41 7c 5a cc', 'vcvtps2pd ymm9,xmm12', a => a.toDoubles(9, 12)],
  ['c4 c1 7c 5a 50 10', 'vcvtps2pd ymm2,XMMWORD [r8+0x10]', a => a.toDoubles(2, at(r8, 16))],
  ['c4 61 7c 5a d3', 'vcvtps2pd ymm10,xmm3', a => a.toFourDoubles(10, 3)],
  ['c4 c1 fd 5a de', 'vcvtpd2ps xmm3,ymm14', a => a.toFloats(3, 14)],
  ['c4 e1 9d 58 cb', 'vaddpd ymm1,ymm12,ymm3', a => a.combineDoubles('add', 1, 12, 3)],
  ['c4 61 e9 58 5e 08', 'vaddpd xmm11,xmm2,XMMWORD [rsi+0x8]', a => a.combineDoubles('add', 11, 2, at(rsi, 8), 2)],
  ['c4 41 fb 10 4c 24 08', 'vmovsd xmm9,QWORD [r12+0x8]', a => a.loadDouble(9, at(r12, 8))],
  ['c4 61 fb 11 2f', 'vmovsd QWORD [rdi],xmm13', a => a.storeDouble(at(rdi), 13)],
  ['c4 e1 7a 10 52 04', 'vmovss xmm2,DWORD [rdx+0x4]', a => a.loadFloat(2, at(rdx, 4))],
  ['c4 41 7a 11 50 04', 'vmovss DWORD [r8+0x4],xmm10', a => a.storeFloat(at(r8, 4), 10)],
  ['c4 e1 b3 5e ca', 'vdivsd xmm1,xmm9,xmm2', a => a.combineDouble('divide', 1, 9, 2)],
  ['c4 61 e3 51 e3', 'vsqrtsd xmm12,xmm3,xmm3', a => a.squareRootOfDouble(12, 3)],
  ['c4 41 ab 2a d1', 'vcvtsi2sd xmm10,xmm10,r9', a => a.integerToDouble(10, r9)],
  ['c4 c1 22 5a db', 'vcvtss2sd xmm3,xmm11,xmm11', a => a.toDouble(3, 11)],
  ['c4 61 eb 5a ca', 'vcvtsd2ss xmm9,xmm2,xmm2', a => a.toFloat(9, 2)],
  ['c4 c2 05 2c 5c 24 04 c4 e3 15 4a db f0', 'vmaskmovps ymm3,ymm15,YMMWORD [r12+0x4]; vblendvps ymm3,ymm13,ymm3,ymm15', a => a.loadOr(3, at(r12, 4), { register: 15 }, 13)],
  ['c4 63 7d 19 e9 01 c4 c1 70 58 cd c4 e1 70 c6 d1 4e c4 e1 70 58 ca c4 e1 70 c6 d1 b1 c4 e1 70 58 ca c4 62 7d 18 e9', 'vextractf128 xmm1,ymm13,0x1; vaddps xmm1,xmm1,xmm13; vshufps xmm2,xmm1,xmm1,0x4e; vaddps xmm1,xmm1,xmm2; vshufps xmm2,xmm1,xmm1,0xb1; vaddps xmm1,xmm1,xmm2; vbroadcastss ymm13,xmm1', a => a.fold('add', 13, [1, 2, 3])],
  ['c4 c1 60 c6 db 4e', 'vshufps xmm3,xmm3,xmm11,0x4e', a => a.shuffleFour(3, 3, 11, 0x4e)],
  ['c4 41 74 c2 f2 11 c4 c3 55 4a dc e0', 'vcmplt_oqps ymm14,ymm1,ymm10; vblendvps ymm3,ymm5,ymm12,ymm14', a => a.select('less', 1, 10, 3, 12, 5, 14)],
  ['c4 c1 34 c2 7d 00 1e c4 63 05 4a c0 70', 'vcmpgt_oqps ymm7,ymm9,YMMWORD [r13+0x0]; vblendvps ymm8,ymm15,ymm0,ymm7', a => a.select('greater', 9, at(r13), 8, 0, 15, 7)],
  ['48 8d 05 39 00 00 00 48 c1 e1 02 48 2b c1 c4 61 7c 10 78 20', 'lea rax,[rip+table]; shl rcx,0x2; sub rax,rcx; vmovups ymm15,YMMWORD [rax+0x20]', a => a.maskOf({ register: 15 }, rcx, rax)],
  ['4c 8d 2d 39 00 00 00 49 c1 e0 02 4d 2b e8 c4 c1 7c 10 75 20', 'lea r13,[rip+table]; shl r8,0x2; sub r13,r8; vmovups ymm6,YMMWORD [r13+0x20]', a => a.maskOf({ register: 6 }, r8, r13)],
]

/** Short offsets are counted in what the instruction reads: 64, 16 or 4 bytes. */
// biome-ignore format: a table
const avx512: readonly Row[] = [
  ['62 f1 74 40 58 c5', 'vaddps zmm0,zmm17,zmm5', a => a.combine('add', 0, 17, 5)],
  ['62 b1 1c 40 59 d2', 'vmulps zmm2,zmm28,zmm18', a => a.combine('multiply', 2, 28, 18)],
  ['62 91 44 48 5c e7', 'vsubps zmm4,zmm7,zmm31', a => a.combine('subtract', 4, 7, 31)],
  ['62 d1 6c 40 5d f4', 'vminps zmm6,zmm18,zmm12', a => a.combine('minimum', 6, 18, 12)],
  ['62 11 14 40 5e c1', 'vdivps zmm8,zmm29,zmm25', a => a.combine('divide', 8, 29, 25)],
  ['62 71 3c 48 5f d6', 'vmaxps zmm10,zmm8,zmm6', a => a.combine('maximum', 10, 8, 6)],
  ['62 31 64 40 54 e3', 'vandps zmm12,zmm19,zmm19', a => a.combine('and', 12, 19, 19)],
  ['62 71 0c 40 56 f0', 'vorps zmm14,zmm30,zmm0', a => a.combine('or', 14, 30, 0)],
  ['62 c1 34 48 57 c5', 'vxorps zmm16,zmm9,zmm13', a => a.combine('xor', 16, 9, 13)],
  ['62 81 5d 40 fe d2', 'vpaddd zmm18,zmm20,zmm26', a => a.combine('addIntegers', 18, 20, 26)],
  ['62 e1 05 40 fa e7', 'vpsubd zmm20,zmm31,zmm7', a => a.combine('subtractIntegers', 20, 31, 7)],
  ['62 a1 2c 48 14 f4', 'vunpcklps zmm22,zmm10,zmm20', a => a.combine('unpackLow', 22, 10, 20)],
  ['62 61 54 40 15 c1', 'vunpckhps zmm24,zmm21,zmm1', a => a.combine('unpackHigh', 24, 21, 1)],
  ['62 42 7d 48 b8 d6', 'vfmadd231ps zmm26,zmm0,zmm14', a => a.combine('addProduct', 26, 0, 14)],
  ['62 02 25 48 bc e3', 'vfnmadd231ps zmm28,zmm11,zmm27', a => a.combine('subtractProduct', 28, 11, 27)],
  ['62 42 4d 40 a8 f0', 'vfmadd213ps zmm30,zmm22,zmm8', a => a.combine('multiplyAdd', 30, 22, 8)],
  ['62 61 0c 40 58 0c 24', 'vaddps zmm25,zmm30,ZMMWORD [rsp]', a => a.combine('add', 25, 30, at(rsp))],
  ['62 61 0c 40 58 4d 00', 'vaddps zmm25,zmm30,ZMMWORD [rbp+0x0]', a => a.combine('add', 25, 30, at(rbp))],
  ['62 41 0c 40 58 4c 24 01', 'vaddps zmm25,zmm30,ZMMWORD [r12+0x40]', a => a.combine('add', 25, 30, at(r12, 64))],
  ['62 41 0c 40 58 4d 00', 'vaddps zmm25,zmm30,ZMMWORD [r13+0x0]', a => a.combine('add', 25, 30, at(r13))],
  ['62 61 0c 40 58 88 7f 00 00 00', 'vaddps zmm25,zmm30,ZMMWORD [rax+0x7f]', a => a.combine('add', 25, 30, at(rax, 127))],
  ['62 61 0c 40 58 48 02', 'vaddps zmm25,zmm30,ZMMWORD [rax+0x80]', a => a.combine('add', 25, 30, at(rax, 128))],
  ['62 61 0c 40 58 4a 7f', 'vaddps zmm25,zmm30,ZMMWORD [rdx+0x1fc0]', a => a.combine('add', 25, 30, at(rdx, 8128))],
  ['62 61 0c 40 58 8a 00 20 00 00', 'vaddps zmm25,zmm30,ZMMWORD [rdx+0x2000]', a => a.combine('add', 25, 30, at(rdx, 8192))],
  ['62 61 0c 40 58 4a 80', 'vaddps zmm25,zmm30,ZMMWORD [rdx-0x2000]', a => a.combine('add', 25, 30, at(rdx, -8192))],
  ['62 61 0c 40 58 8a c0 df ff ff', 'vaddps zmm25,zmm30,ZMMWORD [rdx-0x2040]', a => a.combine('add', 25, 30, at(rdx, -8256))],
  ['62 41 0c 40 58 89 04 00 00 00', 'vaddps zmm25,zmm30,ZMMWORD [r9+0x4]', a => a.combine('add', 25, 30, at(r9, 4))],
  ['62 61 0c 40 58 0c 1e', 'vaddps zmm25,zmm30,ZMMWORD [rsi+rbx*1]', a => a.combine('add', 25, 30, indexed(rsi, rbx))],
  ['62 01 0c 40 58 4c a5 00', 'vaddps zmm25,zmm30,ZMMWORD [r13+r12*4+0x0]', a => a.combine('add', 25, 30, indexed(r13, r12, 4))],
  ['62 21 0c 40 58 4c fd 01', 'vaddps zmm25,zmm30,ZMMWORD [rbp+r15*8+0x40]', a => a.combine('add', 25, 30, indexed(rbp, r15, 8, 64))],
  ['62 41 0c 40 58 8c 44 64 00 00 00', 'vaddps zmm25,zmm30,ZMMWORD [r12+rax*2+0x64]', a => a.combine('add', 25, 30, indexed(r12, rax, 2, 100))],
  ['62 91 7c 48 28 dc', 'vmovaps zmm3,zmm28', a => a.loadVector(3, 28)],
  ['62 61 7c 48 28 e3', 'vmovaps zmm28,zmm3', a => a.loadVector(28, 3)],
  ['62 31 7c 48 28 e4', 'vmovaps zmm12,zmm20', a => a.loadVector(12, 20)],
  ['62 c1 7c ca 28 d8', 'vmovaps zmm19{k2}{z},zmm8', a => a.loadVector(19, 8, { register: 2 })],
  ['62 61 7c 48 10 46 01', 'vmovups zmm24,ZMMWORD [rsi+0x40]', a => a.loadVector(24, at(rsi, 64))],
  ['62 f1 7c c9 10 06', 'vmovups zmm0{k1}{z},ZMMWORD [rsi]', a => a.loadVector(0, at(rsi), { register: 1 })],
  ['62 81 7c cf 10 0c 88', 'vmovups zmm17{k7}{z},ZMMWORD [r8+r9*4]', a => a.loadVector(17, indexed(r8, r9, 4), { register: 7 })],
  ['62 41 7c 48 11 5c 24 01', 'vmovups ZMMWORD [r12+0x40],zmm27', a => a.storeVector(at(r12, 64), 27)],
  ['62 e1 7c 49 11 07', 'vmovups ZMMWORD [rdi]{k1},zmm16', a => a.storeVector(at(rdi), 16, { register: 1 })],
  ['62 01 14 40 57 ed', 'vxorps zmm29,zmm29,zmm29', a => a.zero(29)],
  ['62 d2 7d 48 18 20', 'vbroadcastss zmm4,DWORD [r8]', a => a.broadcast(4, at(r8))],
  ['62 42 7d 48 18 34 4b', 'vbroadcastss zmm30,DWORD [r11+rcx*2]', a => a.broadcast(30, indexed(r11, rcx, 2))],
  ['62 62 7d 48 18 7d 7f', 'vbroadcastss zmm31,DWORD [rbp+0x1fc]', a => a.broadcast(31, at(rbp, 508))],
  ['62 62 7d 48 18 bd 00 02 00 00', 'vbroadcastss zmm31,DWORD [rbp+0x200]', a => a.broadcast(31, at(rbp, 512))],
  ['62 52 7d 48 18 bc 24 06 00 00 00', 'vbroadcastss zmm15,DWORD [r12+0x6]', a => a.broadcast(15, at(r12, 6))],
  ['62 92 7d 48 18 d2', 'vbroadcastss zmm2,xmm26', a => a.broadcast(2, 26)],
  ['62 91 7c 48 51 cf', 'vsqrtps zmm1,zmm31', a => a.squareRoot(1, 31)],
  ['62 c1 7c 48 51 d1', 'vsqrtps zmm18,zmm9', a => a.squareRoot(18, 9)],
  ['62 91 55 48 72 f4 17', 'vpslld zmm5,zmm28,0x17', a => a.shift('left', 5, 28, 23)],
  ['62 f1 0d 40 72 d2 01', 'vpsrld zmm30,zmm2,0x1', a => a.shift('right', 30, 2, 1)],
  ['62 b1 7d 40 72 e1 1f', 'vpsrad zmm16,zmm17,0x1f', a => a.shift('rightSigned', 16, 17, 31)],
  ['62 f1 24 40 c6 f3 44', 'vshufps zmm6,zmm27,zmm3,0x44', a => a.shuffle(6, 27, 3, 0x44)],
  ['62 81 7c 48 c6 f5 ee', 'vshufps zmm22,zmm0,zmm29,0xee', a => a.shuffle(22, 0, 29, 0xee)],
  ['62 d3 2d 40 18 52 01 01', 'vinsertf32x4 zmm2,zmm26,XMMWORD [r10+0x10],0x1', a => a.insertFour(2, 26, at(r10, 16), 1)],
  ['62 e3 5d 48 18 66 7f 03', 'vinsertf32x4 zmm20,zmm4,XMMWORD [rsi+0x7f0],0x3', a => a.insertFour(20, 4, at(rsi, 2032), 3)],
  ['62 83 5d 48 18 a4 3c 08 00 00 00 02', 'vinsertf32x4 zmm20,zmm4,XMMWORD [r12+r15*1+0x8],0x2', a => a.insertFour(20, 4, indexed(r12, r15, 1, 8), 2)],
  ['62 63 7d 48 19 e3 01', 'vextractf32x4 xmm3,zmm28,0x1', a => a.extractFour(3, 28, 1)],
  ['62 93 7d 48 19 e1 03', 'vextractf32x4 xmm25,zmm4,0x3', a => a.extractFour(25, 4, 3)],
  ['62 61 7c 08 10 56 01', 'vmovups xmm26,XMMWORD [rsi+0x10]', a => a.loadFour(26, at(rsi, 16))],
  ['62 71 7c 08 10 96 08 00 00 00', 'vmovups xmm10,XMMWORD [rsi+0x8]', a => a.loadFour(10, at(rsi, 8))],
  ['62 d1 34 00 58 cc', 'vaddps xmm1,xmm25,xmm12', a => a.combineLow('add', 4, 1, 25, 12)],
  ['62 21 7c 08 5f c7', 'vmaxps xmm24,xmm0,xmm23', a => a.combineLow('maximum', 4, 24, 0, 23)],
  ['62 41 6c 28 58 ec', 'vaddps ymm29,ymm2,ymm12', a => a.combineLow('add', 8, 29, 2, 12)],
  ['62 f2 45 40 a8 ca', 'vfmadd213ps zmm1,zmm23,zmm2', a => a.combineLow('multiplyAdd', 16, 1, 23, 2)],
  ['62 63 fd 48 1b e3 01', 'vextractf64x4 ymm3,zmm28,0x1', a => a.upperHalf(3, 28)],
  ['62 63 7d 28 19 e3 01', 'vextractf32x4 xmm3,ymm28,0x1', a => a.upperHalf(3, 28, 32)],
  ['62 43 ed 48 1a eb 01', 'vinsertf64x4 zmm29,zmm2,ymm11,0x1', a => a.join(29, 2, 11)],
  ['62 c1 7c 48 5a dc', 'vcvtps2pd zmm19,ymm12', a => a.toDoubles(19, 12)],
  ['62 d1 7c 48 5a 50 01', 'vcvtps2pd zmm2,YMMWORD [r8+0x20]', a => a.toDoubles(2, at(r8, 32))],
  ['62 61 7c 28 5a d3', 'vcvtps2pd ymm26,xmm3', a => a.toFourDoubles(26, 3)],
  ['62 91 fd 48 5a de', 'vcvtpd2ps ymm3,zmm30', a => a.toFloats(3, 30)],
  ['62 f1 9d 40 58 cb', 'vaddpd zmm1,zmm28,zmm3', a => a.combineDoubles('add', 1, 28, 3)],
  ['62 e1 ed 08 58 ae 08 00 00 00', 'vaddpd xmm21,xmm2,XMMWORD [rsi+0x8]', a => a.combineDoubles('add', 21, 2, at(rsi, 8), 2)],
  ['62 41 ff 08 10 4c 24 01', 'vmovsd xmm25,QWORD [r12+0x8]', a => a.loadDouble(25, at(r12, 8))],
  ['62 61 ff 08 11 2f', 'vmovsd QWORD [rdi],xmm29', a => a.storeDouble(at(rdi), 29)],
  ['62 e1 7e 08 10 52 01', 'vmovss xmm18,DWORD [rdx+0x4]', a => a.loadFloat(18, at(rdx, 4))],
  ['62 41 7e 08 11 50 01', 'vmovss DWORD [r8+0x4],xmm26', a => a.storeFloat(at(r8, 4), 26)],
  ['62 f1 b7 00 5e ca', 'vdivsd xmm1,xmm25,xmm2', a => a.combineDouble('divide', 1, 25, 2)],
  ['62 61 e7 08 51 e3', 'vsqrtsd xmm28,xmm3,xmm3', a => a.squareRootOfDouble(28, 3)],
  ['62 41 af 00 2a d1', 'vcvtsi2sd xmm26,xmm26,r9', a => a.integerToDouble(26, r9)],
  ['62 91 26 00 5a db', 'vcvtss2sd xmm3,xmm27,xmm27', a => a.toDouble(3, 27)],
  ['62 61 ef 08 5a ca', 'vcvtsd2ss xmm25,xmm2,xmm2', a => a.toFloat(25, 2)],
  ['62 91 7c 48 28 dd 62 d1 7c 4a 10 9c 24 04 00 00 00', 'vmovaps zmm3,zmm29; vmovups zmm3{k2},ZMMWORD [r12+0x4]', a => a.loadOr(3, at(r12, 4), { register: 2 }, 29)],
  ['62 63 7d 48 19 e9 01 62 63 7d 48 19 ea 02 62 63 7d 48 19 eb 03 62 f1 6c 08 58 d3 62 91 74 08 58 cd 62 f1 74 08 58 ca 62 f1 74 08 c6 d1 4e 62 f1 74 08 58 ca 62 f1 74 08 c6 d1 b1 62 f1 74 08 58 ca 62 62 7d 48 18 e9', 'vextractf32x4 xmm1,zmm29,0x1; … xmm2,zmm29,0x2; … xmm3,zmm29,0x3; vaddps xmm2,xmm2,xmm3; vaddps xmm1,xmm1,xmm29; vaddps xmm1,xmm1,xmm2; vshufps xmm2,xmm1,xmm1,0x4e; vaddps xmm1,xmm1,xmm2; vshufps xmm2,xmm1,xmm1,0xb1; vaddps xmm1,xmm1,xmm2; vbroadcastss zmm29,xmm1', a => a.fold('add', 29, [1, 2, 3])],
  ['62 91 64 08 c6 db 4e', 'vshufps xmm3,xmm3,xmm27,0x4e', a => a.shuffleFour(3, 3, 27, 0x4e)],
  ['62 91 74 48 c2 fa 11 62 f1 7c 48 28 dd 62 91 7c 4f 28 dc', 'vcmplt_oqps k7,zmm1,zmm26; vmovaps zmm3,zmm5; vmovaps zmm3{k7},zmm28', a => a.select('less', 1, 26, 3, 28, 5, 14)],
  ['62 d1 34 40 c2 7d 00 1e 62 71 7c 4f 28 c0', 'vcmpgt_oqps k7,zmm25,ZMMWORD [r13+0x0]; vmovaps zmm8{k7},zmm0', a => a.select('greater', 25, at(r13), 8, 0, 8, 7)],
  ['48 c7 c0 ff ff ff ff c4 e2 70 f5 c0 c4 e1 78 92 c8', 'mov rax,0xffffffffffffffff; bzhi eax,eax,ecx; kmovw k1,eax', a => a.maskOf({ register: 1 }, rcx, rax)],
  ['49 c7 c5 ff ff ff ff c4 42 38 f5 ed c4 c1 78 92 f5', 'mov r13,0xffffffffffffffff; bzhi r13d,r13d,r8d; kmovw k6,r13d', a => a.maskOf({ register: 6 }, r8, r13)],
  ['48 c7 c2 ff ff ff ff c4 e2 20 f5 d2 c4 e1 78 92 da', 'mov rdx,0xffffffffffffffff; bzhi edx,edx,r11d; kmovw k3,edx', a => a.maskOf({ register: 3 }, r11, rdx)],
]

const hex = (bytes: Uint8Array): string =>
  Buffer.from(bytes)
    .toString('hex')
    .replace(/..(?=.)/g, '$& ')

/** The code, and where its constants begin. */
function assembled(instructions: Instructions, emit: Emit): { readonly code: Uint8Array; readonly end: number } {
  const a = new Assembler(instructions)
  emit(a)
  const end = a.position
  return { code: a.finish(), end }
}

for (const instructions of ['AVX2', 'AVX-512'] as const)
  describe(`with ${instructions}`, () => {
    const rows = [...general, ...(instructions === 'AVX2' ? avx2 : avx512)]
    test('every instruction has its bytes', () => {
      for (const [bytes, text, emit] of rows) {
        const { code, end } = assembled(instructions, emit)
        // a place in the table of constants has a distance, which a test below checks
        const found = hex(code.subarray(0, end))
        assert.equal(found, bytes, text)
      }
    })

    test('no method of the assembler is without a row', () => {
      const source = rows.map(([, , emit]) => String(emit)).join()
      const elsewhere = [
        ...[
          'constructor',
          'finish',
          'position',
          'label',
          'bind',
          'here',
          'words',
          'number',
          'integer',
          'double',
          'align',
        ],
        ...['table', 'jump', 'jumpIf', 'jumpIfAny', 'call', 'countDown', 'steps'],
      ]
      const names = Object.getOwnPropertyNames(Assembler.prototype).filter(name => !elsewhere.includes(name))
      assert.deepEqual(
        names.filter(name => !source.includes(`a.${name}(`)),
        [],
      )
    })
  })

describe('distances', () => {
  const code = (emit: Emit, instructions: Instructions = 'AVX2') => {
    const { code, end } = assembled(instructions, emit)
    return hex(code.subarray(0, end))
  }

  test('of jumps and calls, forwards and backwards, count from the next instruction', () => {
    const jumps = (a: Assembler) => {
      const [ahead, back] = [a.label(), a.here()]
      a.back()
      a.jump(ahead)
      a.jumpIf('equal', ahead)
      a.jump(back)
      a.bind(ahead)
      a.call(back)
      a.jumpIf('greater', back)
    }
    assert.equal(
      code(jumps),
      ['c3', 'e9 0b 00 00 00', '0f 84 05 00 00 00', 'e9 ef ff ff ff', 'e8 ea ff ff ff', '0f 8f e4 ff ff ff'].join(' '),
    )
  })

  test('of a jump to the next instruction is 0, and beyond 127 bytes they are as long as near ones', () => {
    const next = (a: Assembler) => {
      const end = a.label()
      a.jump(end)
      a.bind(end)
    }
    assert.equal(code(next), 'e9 00 00 00 00')
    const far = (a: Assembler) => {
      const end = a.label()
      a.jumpIf('less', end)
      for (let i = 0; i < 300; i++) a.back()
      a.bind(end)
    }
    assert.match(code(far), /^0f 8c 2c 01 00 00 (c3 ?){300}$/)
  })

  test('a label without a place is an error', () => {
    const a = new Assembler('AVX2')
    a.jump(a.label())
    assert.throws(() => a.finish(), /a label of the machine code has no place/)
  })

  test('the conditions of jumps', () => {
    for (const [condition, byte] of [
      ['equal', '84'],
      ['notEqual', '85'],
      ['less', '8c'],
      ['atLeast', '8d'],
      ['atMost', '8e'],
      ['greater', '8f'],
    ] as const)
      assert.equal(
        code(a => a.jumpIf(condition, a.here())),
        `0f ${byte} fa ff ff ff`,
      )
  })

  /** The distances of the code, by where they stand, and the words that each leads to: it counts from the end of the instruction. */
  const constantAt = (instructions: Instructions, emit: Emit, after: number) => {
    const { code, end } = assembled(instructions, emit)
    const view = new DataView(code.buffer)
    const place = end + view.getInt32(end - 4 - after, true)
    assert.equal(place % (instructions === 'AVX2' ? 32 : 64), 0, 'it is aligned')
    return Array.from({ length: instructions === 'AVX2' ? 8 : 16 }, (_, i) => view.getUint32(place + 4 * i, true))
  }

  for (const instructions of ['AVX2', 'AVX-512'] as const) {
    const lanes = instructions === 'AVX2' ? 8 : 16
    const same = (word: number) => new Array<number>(lanes).fill(word)

    test(`to constants, also with a byte behind them, with ${instructions}`, () => {
      const found = (emit: Emit, after: number) => constantAt(instructions, emit, after)
      const other = (a: Assembler) => a.combine('multiply', 1, 1, a.number(2))
      assert.deepEqual(
        found(a => a.combine('add', 3, 4, a.number(1)), 0),
        same(0x3f800000),
      )
      assert.deepEqual(
        found(a => {
          other(a)
          a.combine('addIntegers', 9, 4, a.integer(-1))
        }, 0),
        same(0xffffffff),
      )
      assert.deepEqual(
        found(a => {
          other(a)
          a.loadVector(3, a.number(-0.5))
        }, 0),
        same(0xbf000000),
      )
      assert.deepEqual(
        found(a => {
          other(a)
          a.insertFour(3, 3, a.words([1, 2, 3, 4]), 1)
        }, 1),
        [1, 2, 3, 4, ...new Array<number>(lanes - 4).fill(0)],
      )
      // the comparison of a jump has a byte behind the distance, before what tests its result
      const compared = (a: Assembler) => {
        other(a)
        a.jumpIfAny('greater', 5, a.number(8), 6, a.here())
      }
      const { code, end } = assembled(instructions, compared)
      const tail = instructions === 'AVX2' ? 5 + 2 + 6 : 4 + 6
      const view = new DataView(code.buffer)
      const place = end - tail + view.getInt32(end - tail - 5, true)
      assert.equal(view.getFloat32(place, true), 8)
    })

    test(`the same constant has one place, with ${instructions}`, () => {
      const places = (emit: Emit) => assembled(instructions, emit).code.length
      const once = places(a => a.loadVector(0, a.number(3)))
      assert.equal(
        places(a => {
          a.loadVector(0, a.number(3))
          a.loadVector(1, a.integer(0x40400000))
        }),
        once,
      )
      assert.equal(
        places(a => {
          a.loadVector(0, a.number(3))
          a.loadVector(1, a.number(4))
        }),
        once + 64,
      )
    })
  }

  test('a jump if any number compares', () => {
    const jump = (a: Assembler) => a.jumpIfAny('less', 9, 10, 11, a.here())
    // vcmplt_oqps ymm11,ymm9,ymm10; vmovmskps eax,ymm11; test eax,eax; jne
    assert.equal(code(jump, 'AVX2'), 'c4 41 34 c2 da 11 c4 c1 7c 50 c3 85 c0 0f 85 ed ff ff ff')
    // vcmplt_oqps k7,zmm9,zmm10; kortestw k7,k7; jne
    assert.equal(code(jump, 'AVX-512'), '62 d1 34 48 c2 fa 11 c5 f8 98 ff 0f 85 ef ff ff ff')
  })

  test('loops', () => {
    // cmp rdx,0x0; jle end; start: push rdx; sub rdx,0x2; jg start; end:
    assert.equal(
      code(a => a.countDown(rdx, 2, () => a.push(rdx))),
      '48 83 fa 00 0f 8e 0b 00 00 00 52 48 83 ea 02 0f 8f f5 ff ff ff',
    )
    // sub rcx,0x4; jl end; nops up to 32 bytes; start: push rcx; sub rcx,0x4; jge start; end: add rcx,0x4
    assert.equal(
      code(a => a.steps(rcx, 4, () => a.push(rcx))),
      '48 83 e9 04 0f 8c 21 00 00 00 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 90 51 48 83 e9 04 0f 8d f5 ff ff ff 48 83 c1 04',
    )
  })
})
