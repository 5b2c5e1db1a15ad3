//! Scripts from inside: what they can reach, what ends them, what they are handed.

use tcplens_core::batch::{Kind, Place, Records};
use tcplens_core::engine::Transport;
use tcplens_core::packet::{Interface, LinkType};
use tcplens_core::record::{
    ConnectionId, EndedBy, Protocol, RequestRow, RoleFrom, Side, Status, Times, Vantage,
};
use tcplens_core::shard::Owner;
use tcplens_core::wire::segment::{FlowKey, Segment, SynOptions, has, syn_option, v4_words};

use super::*;

fn limits() -> Limits {
    Limits {
        memory: 32 << 20,
        time: Span::from_ns(5_000_000),
        allows_io: false,
    }
}

/// A script of this text.
fn load(text: &str) -> Result<Script> {
    load_with(text, limits(), &[])
}

fn load_with(text: &str, limits: Limits, arguments: &[(&str, &str)]) -> Result<Script> {
    let source = Source {
        name: "test.lua".into(),
        text: text.into(),
    };
    let pair = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let options = Options {
        limits,
        arguments: arguments.iter().map(pair).collect(),
        interval: Span::from_ns(1_000_000_000),
        roles: Roles::default(),
    };
    Script::load(&source, options)
}

/// What it printed.
fn printed(script: &Script) -> String {
    let mut text = Vec::new();
    script.take_output(|output| text.extend_from_slice(output));
    String::from_utf8(text).unwrap()
}

/// A SYN from 10.0.0.9:40000 to 10.0.0.1:80.
fn syn() -> Segment {
    Segment {
        time: Timestamp(1_795_219_200_000_001_999),
        clock: Timestamp(1_795_219_200_000_001_999),
        frame: 7,
        flow: FlowKey {
            low: v4_words(0x0a00_0001),
            high: v4_words(0x0a00_0009),
            ports: [80, 40000],
            context: 0,
        },
        from: 1,
        seq: 4_000_000_000,
        ack: 1,
        payload_length: 9,
        window: 512,
        flags: 0xc2,
        ttl: 63,
        vlan: 5,
        has: has::TIMESTAMPS,
        ts_value: 11,
        ts_echo: 12,
        syn: SynOptions {
            mss: 1460,
            wscale: 7,
            bits: syn_option::MSS | syn_option::WSCALE | syn_option::SACK,
        },
        ..Segment::default()
    }
}

/// Gives a script a packet.
fn give(script: &mut Script, transport: Transport, segment: &Segment, payload: &[u8]) {
    let interfaces = [Interface {
        link_type: LinkType::ETHERNET,
        name: Some("eth0".into()),
        fcs_bytes: 0,
    }];
    let owner = Owner {
        frame: segment.frame,
        connection_id: ConnectionId::Packets {
            first: segment.time,
            flow: 0xabcd,
        },
        is_from_client: true,
        is_opening: false,
    };
    script.packet(&Seen {
        transport,
        segment,
        payload,
        wire_length: 83,
        interfaces: &interfaces,
        owner: (transport == Transport::Tcp).then_some(&owner),
    });
}

/// Runs `body` as `process`, once. What it printed, and whether it was stopped.
fn process(body: &str) -> (String, bool) {
    let mut script = load(&format!("function process(packet) {body} end")).unwrap();
    give(&mut script, Transport::Tcp, &syn(), b"");
    (printed(&script), script.failures().is_stopped)
}

#[test]
fn nothing_that_reaches_outside_is_there() {
    let (text, _) = process(
        "for _, name in ipairs({'io', 'require', 'package', 'load', 'loadstring', 'loadfile', 'dofile', 'debug', \
         'collectgarbage', 'setfenv', 'getfenv', 'module', 'warn'}) do \
           if _G[name] ~= nil then print(name) end end \
         for name in pairs(os) do if not ({time=1, date=1, clock=1, difftime=1})[name] then print('os.' .. name) end end \
         print(string.dump, type(os.time()), os.date('!%Y', 0))",
    );
    assert_eq!(text, "nil\tnumber\t1970\n");
}

#[test]
fn allow_io_opens_them_but_not_the_way_out() {
    let limits = Limits {
        allows_io: true,
        ..limits()
    };
    let text = "io.write('a', 1) print(type(io.open), type(require), os.exit, type(os.getenv), load('return 7')(), \
                load('\\27Lua') == nil, debug) function on_exit() end";
    let script = load_with(text, limits, &[]).unwrap();
    assert_eq!(
        printed(&script),
        "a1function\tfunction\tnil\tfunction\t7\ttrue\tnil\n"
    );
}

#[test]
fn names_and_habits_of_older_lua_work() {
    for (expression, value) in [
        ("unpack({1, 2})", "1\t2"),
        ("table.getn({1, 2, 3})", "3"),
        ("table.maxn({[1.5]=1, [7]=1})", "7"),
        ("math.pow(2, 10)", "1024.0"),
        ("math.log10(1000)", "3.0"),
        ("math.ldexp(0.5, 3), math.frexp(8)", "4.0\t0.5\t4"),
        ("(string.gfind('ab', '.'))()", "a"),
        (
            "bit32.band(0xff, 0x0f), bit32.bor(1, 6), bit32.bxor(5, 1), bit32.bnot(0)",
            "15\t7\t4\t4294967295",
        ),
        (
            "bit32.lshift(1, 31), bit32.lshift(1, 32), bit32.rshift(0x80000000, 31), bit32.lshift(8, -3)",
            "2147483648\t0\t1\t1",
        ),
        (
            "bit32.arshift(0x80000000, 31), bit32.arshift(0x80000000, 40), bit32.arshift(64, 2)",
            "4294967295\t4294967295\t16",
        ),
        (
            "bit32.lrotate(0x80000001, 1), bit32.rrotate(3, 1), bit32.btest(3, 4)",
            "3\t2147483649\tfalse",
        ),
        (
            "bit32.extract(0xabcd, 4, 8), bit32.replace(0, 0xff, 8, 4), bit32.extract(2, 1)",
            "188\t3840\t1",
        ),
        (
            "bit32.band(-1), bit32.band(2^32 + 5), bit32.band('3')",
            "4294967295\t5\t3",
        ),
        (
            "pcall(bit32.extract, 1, 30, 4)",
            "false\ttrying to access non-existent bits",
        ),
        (
            "string.format('%d %u %x|%5.1f%%|%s', 3.7, 4, 255.9, 2.25, 'x')",
            "3 4 ff|  2.2%|x",
        ),
        (
            "string.format('%d', -3.7), pcall(string.format, '%d')",
            "-3\tfalse\tbad argument #2 to 'format' (no value)",
        ),
        (
            "('x'):rep(3, ','), ('x'):byte(), select('#', ('abc'):byte(1, -1))",
            "x,x,x\t120\t3",
        ),
    ] {
        let (text, _) = process(&format!("print({expression})"));
        assert_eq!(text.trim_end(), value, "{expression}");
    }
}

#[test]
fn no_loop_survives_its_time_whatever_catches_errors() {
    for body in [
        "while true do end",
        "while true do pcall(function() while true do end end) end",
        "while true do xpcall(function() while true do end end, function() while true do end end) end",
        "local function f() return pcall(f) end while true do f() end",
        "while true do pcall(error) end",
        "while true do coroutine.resume(coroutine.create(function() while true do end end)) end",
        "while true do pcall(coroutine.wrap(function() while true do pcall(coroutine.wrap(function() while true do end end)) end end)) end",
        // Each new coroutine has a count of its own.
        "local function deep(n) local co = coroutine.create(function() for i = 1, 90 do if n > 0 then deep(n - 1) end end end) \
         coroutine.resume(co) end while true do deep(6) end",
        "local co = coroutine.wrap(function() while true do coroutine.yield(1) end end) while true do co() end",
        "while true do coroutine.close(coroutine.create(function() end)) end",
        // Called from C, where nothing can yield.
        "while true do pcall(table.sort, {3, 2, 1}, function() while true do pcall(function() while true do end end) end end) end",
        "while true do pcall(string.gsub, 'aaa', 'a', function() while true do pcall(function() while true do end end) end end) end",
        "local t = setmetatable({}, {__tostring = function() while true do pcall(function() while true do end end) end end}) \
         while true do pcall(tostring, t) end",
        "local t = setmetatable({}, {__index = function() while true do pcall(function() while true do end end) end end}) \
         while true do pcall(function() return t.x end) end",
        "while true do pcall(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) error('x') end) end",
        "while true do local ok = pcall(function() local x <close> = setmetatable({}, {__close = function() while true do end end}) \
         while true do end end) end",
        // Loops in C.
        "while true do pcall(string.rep, '', 1 << 60) pcall(string.rep, 'x', 1000000) end",
        "pcall(table.move, {}, 1, 1 << 60, 2) while true do end",
        "pcall(table.insert, setmetatable({}, {__len = function() return 1 << 60 end}), 1, 'x') while true do end",
        "pcall(table.remove, setmetatable({}, {__len = function() return 1 << 60 end}), 1) while true do end",
        "pcall(table.sort, setmetatable({}, {__len = function() return (1 << 31) - 2 end}), rawequal) while true do end",
        "pcall(table.concat, setmetatable({}, {__index = type, __len = function() return 1 << 60 end})) while true do end",
        "pcall(table.unpack, {}, 1, 1000000) while true do pcall(table.unpack, {}, 1, 1000000) end",
        "local s = ('a'):rep(5000) while true do pcall(string.find, s, ('.-'):rep(20) .. 'b') end",
        "local s = ('a'):rep(50) while true do pcall(string.match, s, ('a?'):rep(60) .. ('a'):rep(60)) end",
        "local s = ('a'):rep(5000) for _ in s:gmatch('a*a*a*a*b') do end while true do end",
        "local s = ('a'):rep(5000) pcall(string.gsub, s, 'a*a*a*a*b', '') while true do end",
        "local s = ('('):rep(100000) while true do pcall(string.find, s, '%b()') end",
        "local s = ('a'):rep(1 << 20) while true do pcall(string.find, s, ('a'):rep(1 << 19) .. 'b', 1, true) end",
        "local s = ('a'):rep(1 << 20) while true do s:upper() end",
        "while true do string.format('%s', ('x'):rep(100000)) end",
        "local s = ('x'):rep(1 << 22) while true do local _ = s .. s end",
        "os.date('%c'):rep(100) while true do print(1) end",
    ] {
        let began = std::time::Instant::now();
        let (_, is_stopped) = process(body);
        assert!(is_stopped, "{body}");
        // Far beyond the 5 ms of the limit, for tests run without optimisation beside others.
        assert!(
            began.elapsed() < std::time::Duration::from_secs(20),
            "{body}: {:?}",
            began.elapsed()
        );
    }
}

#[test]
fn no_loop_survives_its_memory_and_none_holds_more() {
    for body in [
        "local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end",
        "while true do pcall(function() local t = {} while true do t[#t + 1] = ('x'):rep(100000) .. #t end end) end",
        "while true do pcall(function() local s = 'x' while true do s = s .. s end end) end",
        "while true do coroutine.wrap(function() local s = 'x' while true do s = s .. s end end)() end",
        "while true do xpcall(function() local s = 'x' while true do s = s .. s end end, print) end",
        "pcall(string.rep, 'x', 1 << 40) while true do end",
        "pcall(string.format, ('%s'):rep(200), table.unpack((function() local t = {} for i = 1, 200 do t[i] = ('x'):rep(1 << 20) end return t end)())) \
         while true do end",
    ] {
        let (_, is_stopped) = process(body);
        assert!(is_stopped, "{body}");
    }
}

#[test]
fn finalizers_and_ways_around_are_refused() {
    let (text, is_stopped) = process(
        "print(pcall(setmetatable, {}, {__gc = function() end})) print(pcall(coroutine.yield)) print(coroutine.isyieldable()) \
         print(pcall(getmetatable('').__index.rep, '', 1 << 60))",
    );
    assert_eq!(
        text,
        "false\ta metatable with __gc cannot be set: finalizers are not available to scripts\n\
         false\tattempt to yield from outside a coroutine\nfalse\ntrue\t\n"
    );
    assert!(!is_stopped);
}

#[test]
fn ordinary_coroutines_and_errors_are_luas_own() {
    for (body, expected) in [
        (
            "local co = coroutine.wrap(function(a) local b = coroutine.yield(a + 1) return b * 2 end) print(co(1), co(10))",
            "2\t20\n",
        ),
        (
            "local co = coroutine.create(function() error({code = 7}) end) local ok, e = coroutine.resume(co) print(ok, e.code, coroutine.status(co))",
            "false\t7\tdead\n",
        ),
        (
            "print(pcall(error, {1}, 2) == false, select(2, pcall(error, 'x', 0)))",
            "true\tx\n",
        ),
        (
            "print(select(2, pcall(function() error('here') end)))",
            "test.lua:1: here\n",
        ),
        (
            "print(select(2, pcall(function() local x = nil; return x.y end)))",
            "test.lua:1: attempt to index a nil value (local 'x')\n",
        ),
        (
            "print(xpcall(function() error('a', 0) end, function(e) return e .. 'b' end))",
            "false\tab\n",
        ),
        (
            "for k, v in coroutine.wrap(function() coroutine.yield('k', 1) end) do print(k, v) end",
            "k\t1\n",
        ),
        (
            "print(pcall(string.find, 'a', '['))",
            "false\tmalformed pattern (missing ']')\n",
        ),
        (
            "print(select(2, pcall(string.rep, {})))",
            "bad argument #1 to 'rep' (string expected, got table)\n",
        ),
        ("print(nil, 1, true, 1.5)", "nil\t1\ttrue\t1.5\n"),
    ] {
        assert_eq!(process(body), (expected.to_owned(), false), "{body}");
    }
}

#[test]
fn patterns_with_a_count_of_steps_match_as_luas_own() {
    let ours = Sandbox::with_patterns(limits(), 0).unwrap();
    let lua = mlua::Lua::new();
    let subjects = [
        "",
        "a",
        "aaa",
        "hello world",
        "key = value",
        "  x  ",
        "THE (quick) fox",
        "[[x]]",
        "a.b-c*d",
        "f(a(b)c)d",
        "%d",
        "x^y$z",
        "abcabc",
        "\u{e4}\u{0}b",
        "2026-11-21",
        "a]b",
        "-",
        "line1\nline2",
    ];
    let patterns = [
        "",
        "a",
        "a*",
        "a-",
        "a+",
        "a?",
        ".",
        ".-",
        "^a",
        "a$",
        "^$",
        "$",
        "(a)(b)",
        "()",
        "(.)%1",
        "%a+",
        "%s*",
        "(%w+) = (%w+)",
        "%((%a+)%)",
        "%b()",
        "%f[%w]%w+",
        "%f[%a]",
        "[a-c]+",
        "[^a-c]+",
        "[%]]",
        "[]]",
        "[^]]",
        "[a-]",
        "[-a]",
        "%%",
        "%.",
        "x*$",
        "(%d+)-(%d+)-(%d+)",
        "^(.-)%s*$",
        "((a)(b))",
        "[",
        "%",
        ")",
        "%1",
        "%b",
        "%f",
        "[a",
        "[%",
        "a**",
        "^^",
        "[^%s]+",
        "%u%l*",
        "%x%x",
        "%p",
        "%c",
        "%g+",
        "(.-)\n",
        "%W",
        "()b()",
    ];
    let code = "local s, p = ... \
        local function all(...) local t = table.pack(...) for i = 1, t.n do t[i] = tostring(t[i]) end return table.concat(t, ',') end \
        local out = {all(pcall(string.find, s, p)), all(pcall(string.find, s, p, 2)), all(pcall(string.find, s, p, -2)), \
          all(pcall(string.match, s, p)), all(pcall(string.gsub, s, p, '<%0>')), all(pcall(string.gsub, s, p, '%1%%', 2)), \
          all(pcall(string.gsub, s, p, function(a, b) return b end)), all(pcall(string.gsub, s, p, {a = 'A'}))} \
        local n = 0 \
        pcall(function() for a, b in string.gmatch(s, p) do out[#out + 1] = tostring(a) .. ';' .. tostring(b) n = n + 1 if n > 50 then break end end end) \
        return table.concat(out, '|')";
    let run = |lua: &mlua::Lua, subject: &str, pattern: &str| -> String {
        let text: mlua::LuaString = lua.load(code).call((subject, pattern)).unwrap();
        text.to_string_lossy()
    };
    // Where an error is raised from is part of Lua's text, and different.
    let plain = |text: String| {
        text.replace(
            "[string \"local s, p = ...  local function all(...) loc...\"]:1: ",
            "",
        )
    };
    for subject in subjects {
        for pattern in patterns {
            ours.run(b"", "nothing", 100).unwrap();
            assert_eq!(
                plain(run(ours.lua(), subject, pattern)),
                plain(run(&lua, subject, pattern)),
                "{subject:?} {pattern:?}"
            );
        }
    }
}

#[test]
fn a_packet_has_every_field_that_the_text_names() {
    let names: Vec<_> = packet::FIELDS.iter().map(|(name, _)| *name).collect();
    let list = format!("{{'{}'}}", names.join("', '"));
    let body = format!("for _, name in ipairs({list}) do print(name, packet[name]) end");
    let (text, _) = process(&body);
    assert_eq!(
        text,
        "tv_sec\t1795219200\ntv_usec\t1\nsip\t10.0.0.9\nsport\t40000\ndip\t10.0.0.1\ndport\t80\npayload\t\nsize\t0\n\
         seq\t4000000000\nack\t1\nflags\t2\nwindow\t512\nrequest\ttrue\nprotocol\ttcp\ntv_nsec\t1999\nframe\t7\n\
         interface\teth0\nvlan\t5\ntunnel\tnil\nttl\t63\nip_version\t4\nwire_size\t83\npayload_bytes\t9\ndirection\tnil\n\
         connection\t18e9e659d5f607cf-0000abcd\ntcp_flags\t194\nmss\t1460\nwscale\t7\nsack_permitted\ttrue\nts_val\t11\nts_ecr\t12\n"
    );
}

#[test]
fn udp_has_no_fields_of_tcp_and_all_bytes_of_the_payload() {
    let text = "function process(p) print(p.protocol, p.seq, p.flags, p.window, p.tcp_flags, p.request, p.size, \
                #p.payload, p.payload:byte(1, -1)) end";
    let mut script = load(text).unwrap();
    let datagram = Segment {
        has: 0,
        flags: 0,
        seq: 0,
        syn: SynOptions::default(),
        ..syn()
    };
    give(&mut script, Transport::Udp, &datagram, b"\x00a\xff\n");
    assert_eq!(
        printed(&script),
        "udp\tnil\tnil\tnil\tnil\ttrue\t4\t4\t0\t97\t255\t10\n"
    );
}

#[test]
fn what_the_text_does_not_name_is_not_made_unless_it_goes_through_all() {
    let count = |text: &str| {
        let mut script = load(text).unwrap();
        give(&mut script, Transport::Tcp, &syn(), b"x");
        printed(&script)
    };
    assert_eq!(
        count("function process(p) print(p.sip, p['s' .. 'ize']) end"),
        "10.0.0.9\tnil\n"
    );
    let all = "function process(p) local n = 0 for k in pairs(p) do n = n + 1 end print(n) end";
    // Not in a tunnel, no direction.
    assert_eq!(count(all), format!("{}\n", packet::FIELDS.len() - 2));
    let mut script = load_with(
        "function process(p) print(p[arg.field]) end",
        limits(),
        &[("field", "dport")],
    )
    .unwrap();
    give(&mut script, Transport::Tcp, &syn(), b"");
    assert_eq!(printed(&script), "80\n");
}

#[test]
fn a_kept_packet_stays_as_it_was() {
    let text = "local kept = {} function process(p) kept[#kept + 1] = p end \
                function on_exit() for i = 1, #kept do print(kept[i].frame, kept[i].sip, kept[i].payload, kept[i].connection) end end";
    let mut script = load(text).unwrap();
    for frame in 1..=3 {
        let segment = Segment {
            frame,
            from: u8::from(frame != 2),
            ..syn()
        };
        give(
            &mut script,
            Transport::Tcp,
            &segment,
            format!("payload {frame}").as_bytes(),
        );
    }
    script.exit();
    assert_eq!(
        printed(&script),
        "1\t10.0.0.9\tpayload 1\t18e9e659d5f607cf-0000abcd\n2\t10.0.0.1\tpayload 2\t18e9e659d5f607cf-0000abcd\n\
         3\t10.0.0.9\tpayload 3\t18e9e659d5f607cf-0000abcd\n"
    );
}

#[test]
fn an_error_ends_one_call_and_is_counted_with_file_and_line() {
    let text = "local n = 0\nfunction process(p)\n  n = n + 1\n  if n == 2 then local x = p.sip.y.z end\n  print(n)\nend";
    let mut script = load(text).unwrap();
    for _ in 0..4 {
        give(&mut script, Transport::Tcp, &syn(), b"");
    }
    assert_eq!(printed(&script), "1\n3\n4\n");
    let failures = script.failures();
    assert_eq!(
        (failures.calls, failures.errors, failures.is_stopped),
        (4, 1, false)
    );
    let first = failures.first.as_deref().unwrap();
    assert_eq!(
        first,
        "test.lua:4: attempt to index a nil value (field 'y')"
    );
}

#[test]
fn an_error_in_one_of_luas_functions_names_the_line_of_the_script() {
    for (line, says) in [
        (
            "string.rep({}, 2)",
            "bad argument #1 to 'rep' (string expected, got table)",
        ),
        (
            "string.format('%d', 'x')",
            "bad argument #2 to 'format' (number expected, got string)",
        ),
        ("('x'):find('[')", "malformed pattern (missing ']')"),
        (
            "setmetatable(1, {})",
            "bad argument #1 to 'setmetatable' (table expected, got number)",
        ),
        (
            "bit32.band({})",
            "bad argument #1 (number expected, got table)",
        ),
        (
            "print(setmetatable({}, {__tostring = 1}))",
            "attempt to call a number value",
        ),
        (
            "table.concat({{}})",
            "invalid value (table) at index 1 in table for 'concat'",
        ),
    ] {
        let mut script = load(&format!("function process(p)\n  local x = {line}\nend")).unwrap();
        give(&mut script, Transport::Tcp, &syn(), b"");
        let first = script.failures().first.as_deref().unwrap_or_default();
        assert_eq!(first, format!("test.lua:2: {says}"), "{line}");
    }
}

#[test]
fn a_broken_limit_stops_the_script_and_names_the_line() {
    let mut script = load("function process(p)\n  while true do\n  end\nend").unwrap();
    give(&mut script, Transport::Tcp, &syn(), b"");
    give(&mut script, Transport::Tcp, &syn(), b"");
    let failures = script.failures();
    assert_eq!(
        (failures.calls, failures.errors, failures.is_stopped),
        (1, 1, true)
    );
    let first = failures.first.as_deref().unwrap();
    assert!(
        first.starts_with("the script is stopped: test.lua:2: one call took more than its time"),
        "{first}"
    );
}

#[test]
fn what_cannot_be_loaded_says_why() {
    for (text, says) in [
        (
            "function process(",
            "cannot load test.lua: test.lua:1: <name> or '...' expected near <eof>",
        ),
        (
            "\n\nerror('no luck')",
            "cannot load test.lua: test.lua:3: no luck",
        ),
        (
            "x = 1",
            "cannot use test.lua: it defines neither process(packet) nor on_request",
        ),
        (
            "while true do end",
            "cannot load test.lua: test.lua:1: one call took more than its time",
        ),
        (
            "local s = 'x' while true do s = s .. s end",
            "cannot load test.lua: the script holds more than 32 MiB",
        ),
        ("\u{1b}Lua", "cannot load test.lua: "),
    ] {
        let error = load(text).err().unwrap().to_string();
        assert!(error.starts_with(says), "{error}");
    }
    assert!(load("#!/usr/bin/tcplens\nfunction process() end").is_ok());
}

#[test]
fn ticks_come_at_whole_intervals_and_not_for_ever() {
    let mut script = load("function on_tick(seconds) print(seconds) end").unwrap();
    for ns in [
        500,
        999_999_999,
        1_000_000_000,
        3_500_000_000,
        3_400_000_000,
    ] {
        script.clock(Timestamp(ns));
    }
    assert_eq!(printed(&script), "1\n2\n3\n");
    script.clock(Timestamp(1_000_000 * 1_000_000_000));
    assert_eq!(printed(&script), "1000000\n");
    script.clock(Timestamp::MAX);
    assert_eq!(printed(&script).lines().count(), 1);
}

/// A request for `summary` that took 12.5 ms.
fn request(protocol: Protocol, summary: &str) -> Records {
    let t0 = Timestamp(1_795_219_200_000_000_001);
    let mut records = Records::default();
    let ranges = [0..3, 0..u32::try_from(summary.len()).unwrap(), 0..0];
    let [operation, text, status_text] = records.words(&ranges, summary.as_bytes());
    let row = RequestRow {
        flow: syn().flow,
        client: 1,
        role_from: RoleFrom::Syn,
        vantage: Vantage::File,
        direction: None,
        tap_side: Side::Unknown,
        tunnel: tcplens_core::wire::segment::Tunnel::None,
        vlan: 0,
        connection_id: ConnectionId::Packets { first: t0, flow: 1 },
        protocol,
        status: Status::Ok,
        ended_by: EndedBy::Response,
        capture_loss: false,
        reordered: false,
        cut: false,
        gap: false,
        status_code: None,
        operation,
        summary: text,
        status_text,
        times: Times {
            first_request: t0,
            last_request: t0,
            first_response: t0.plus(12_000_500),
            last_response: t0.plus(12_500_500),
            acknowledged: Timestamp::MIN,
        },
        request_bytes: 31,
        response_bytes: 5,
        task: 1,
        queued: 0,
        retransmits: 0,
        rtt: [None, Some(1000)],
        queue_end: Timestamp::MIN,
        troubled: None,
        is_held_up: false,
        frames: [4, 5],
        windows: [0; 2],
    };
    let place = Place {
        kind: Kind::Request,
        ..Place::default()
    };
    records.request(place, row);
    records
}

fn give_request(script: &mut Script, protocol: Protocol, summary: &str) {
    let records = request(protocol, summary);
    let (_, record) = records.get(0).unwrap();
    script.record(record);
}

#[test]
fn a_record_hook_gets_the_fields_by_their_names() {
    let text = "function on_request(r) print(r.kind, r.time, r.tv_sec, r.tv_nsec, r.client_ip, r.client_port, r.protocol, \
                r.operation, r.summary, r.status, r.status_code, r.total_us, r.process_us, r.upload_us, r.server_rtt_us, \
                r.delivered_us, r.reordered, r.request_bytes, r.connection_id, r.request_frame) end";
    let mut script = load(text).unwrap();
    assert_eq!(script.takes_records(), [false, true, false]);
    assert_eq!(script.packets(), Packets::None);
    give_request(&mut script, Protocol::Redis, "SET foo bar");
    assert_eq!(
        printed(&script),
        "request\t2026-11-21T00:00:00.000000001Z\t1795219200\t1\t10.0.0.9\t40000\tredis\tSET\tSET foo bar\tok\tnil\t\
         12500.5\t12000.5\t0\t1\tnil\tfalse\t31\t18e9e659d5f60001-00000001\t4\n"
    );
    let mut all = load(
        "function on_request(r) local n = 0 for k in pairs(r) do n = n + 1 end print(n > 30) end",
    )
    .unwrap();
    give_request(&mut all, Protocol::Redis, "PING");
    assert_eq!(printed(&all), "true\n");
}

#[test]
fn slow_log_shows_requests_that_took_long() {
    let run = |arguments: &[(&str, &str)]| {
        let mut script = load_with(shipped("slow-log"), limits(), arguments).unwrap();
        give_request(&mut script, Protocol::Redis, "SET foo bar");
        give_request(&mut script, Protocol::Memcached, "get a");
        assert_eq!(script.failures().errors, 0);
        printed(&script)
    };
    let both = "1) 2026-11-21T00:00:00.000000001Z | 12500.5 us | SET foo bar | 10.0.0.9:40000 => 10.0.0.1:80 | redis ok\n\
                2) 2026-11-21T00:00:00.000000001Z | 12500.5 us | get a | 10.0.0.9:40000 => 10.0.0.1:80 | memcached ok\n";
    assert_eq!(run(&[]), both);
    assert_eq!(run(&[("ms", "12.5")]), both);
    assert_eq!(run(&[("ms", "12.6")]), "");
}

#[test]
fn top_keys_counts_the_keys_of_redis_and_memcached() {
    let run = |arguments: &[(&str, &str)]| {
        let mut script = load_with(shipped("top-keys"), limits(), arguments).unwrap();
        for (protocol, summary) in [
            (Protocol::Redis, "GET a"),
            (Protocol::Redis, "SET b 1"),
            (Protocol::Redis, "get b"),
            (Protocol::Redis, "PING"),
            (Protocol::Redis, "CONFIG GET x"),
            (Protocol::Memcached, "get b c"),
            (Protocol::Memcached, "set c 0 0 5"),
            (Protocol::Http, "GET /index.html"),
        ] {
            give_request(&mut script, protocol, summary);
        }
        script.exit();
        assert_eq!(script.failures().errors, 0, "{:?}", script.failures().first);
        printed(&script)
    };
    assert_eq!(
        run(&[("n", "2")]),
        "  REQUESTS        BYTES       TIME(us)   MEAN(us)  KEY\n\
         \x20        3          108          37502    12500.5  b\n\
         \x20        2           72          25001    12500.5  c\n\
         1 further keys\n"
    );
    assert!(run(&[("keys", "1"), ("by", "time")]).ends_with("are not counted (--arg keys=N)\n"));
    let error = load_with(shipped("top-keys"), limits(), &[("by", "x")])
        .err()
        .unwrap()
        .to_string();
    assert!(error.contains("cannot sort by x"), "{error}");
}

/// The text of a script that comes along.
fn shipped(name: &str) -> &'static str {
    let (_, text) = shipped::SHIPPED
        .iter()
        .find(|(shipped, _)| *shipped == name)
        .unwrap();
    text
}

#[test]
fn the_reference_has_every_field_and_every_script() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/scripts.md");
    let reference = std::fs::read_to_string(path).unwrap();
    for (name, meaning) in packet::FIELDS {
        let row = format!("| `{name}` | {meaning} |\n");
        assert!(reference.contains(&row), "docs/scripts.md lacks {row}");
    }
    for (name, _) in shipped::SHIPPED {
        assert!(reference.contains(&format!("| `{name}` | ")), "{name}");
    }
}

#[test]
fn the_numbers_of_fields_are_theirs() {
    packet::check_numbers();
}
