"""Sentences for the talks of `kinds`: hardly a number or a name in them."""

from __future__ import annotations

CHAT = [
    "That sounds fine to me.",
    "We had rain all morning here.",
    "Let us go on with the next point.",
    "I was on the phone, sorry.",
    "The coffee machine is broken again.",
    "Anything else for today?",
    "My desk is full of paper.",
    "The meeting ran late, as always.",
    "I like how this is going.",
    "Somebody left the window open.",
    "We should tidy up the folder.",
    "The lift is slow today.",
]

HOPS = [
    ("The {role} of the {thing} is {who}.", "{who} works from {place}.",
     "Which town does the {role} of the {thing} work from?"),
    ("Our {thing} went to {who} in the end.", "{who} has moved to {place} for good.",
     "Where does the person live who got our {thing}?"),
    ("{who} wrote the first {thing}.", "In winter {who} teaches in {place}.",
     "Where does the one who wrote the first {thing} teach in winter?"),
]  # fmt: skip
ROLES = ["keeper", "owner", "painter", "warden", "founder", "sponsor"]
THINGS = ["lighthouse", "orchard", "cookbook", "regatta", "museum", "vineyard", "atlas", "organ"]
PLACES = ["Tromsø", "Aveiro", "Kotor", "Bergamo", "Lübeck", "Ronda", "Pécs", "Vilnius", "Ghent"]
PEOPLE = ["Solveig", "Anselm", "Marit", "Dagny", "Corvin", "Ilse", "Bastian", "Yorick", "Petra",
          "Ottilie", "Ruben", "Sunniva", "Leopold", "Mireille", "Tadeusz", "Wenzel"]  # fmt: skip

REWORDED = [
    ("My daughter cannot stand cilantro.", "Which herb does my girl dislike?"),
    ("We adopted a puppy from the shelter last spring.", "What pet did our family get?"),
    ("The physician told me to avoid salty food.", "What did the doctor say about my diet?"),
    ("Our flat is on the top storey without a lift.", "How high up is our apartment?"),
    ("My brother repairs violins for a living.", "What is my sibling's profession?"),
    ("I get seasick on any boat.", "How do I feel when travelling by ship?"),
    ("Grandma left me her old sewing machine.", "What did I inherit from my grandmother?"),
    ("The car broke down near the lighthouse.", "Where did the vehicle stop working?"),
    ("We postponed the wedding because of the flood.", "Why was the marriage ceremony delayed?"),
    ("I cycle to the office every day.", "How do I commute to work?"),
    ("My neighbour plays the drums at midnight.", "Who makes noise late in the evening?"),
    ("The thief took only the silver spoons.", "What was stolen by the burglar?"),
    ("I grew up on a farm with goats.", "What animals were around in my childhood?"),
    ("Our boss resigned after the audit.", "Why did the manager quit?"),
    ("She is afraid of spiders.", "Which creatures frighten her?"),
    ("The baby sleeps best when it rains.", "What weather helps the infant rest?"),
    ("I quit smoking after the surgery.", "When did I give up cigarettes?"),
    ("He proposed to her on a mountain top.", "Where did he ask her to marry him?"),
    ("The bakery at the corner closes on Mondays.", "On which day can I buy no bread there?"),
    ("My watch stopped during the dive.", "What happened to my timepiece under water?"),
    ("The cat hides whenever guests arrive.", "How does our pet react to visitors?"),
    ("We heat the house with wood.", "What fuel keeps our home warm?"),
    ("My aunt teaches chemistry to teenagers.", "What is my relative's job at school?"),
    ("I lost my purse at the opera.", "Where did my wallet go missing?"),
    ("They painted the nursery yellow.", "What colour is the room of the baby?"),
    ("My uncle owns a vineyard in the hills.", "Which relative produces wine?"),
    ("The river froze for the first time in years.", "Which stream turned to ice?"),
    ("I am learning to swim at forty.", "What sport skill am I acquiring as an adult?"),
    ("The tailor shortened my trousers too much.", "Who ruined my pants?"),
    ("Our roof leaks above the piano.", "Where does water drip into the house?"),
]

REWORDED_MORE = [
    ("Our dentist moved to another town.", "Which medical specialist is no longer nearby?"),
    ("The children built a hut in the oak tree.", "What did the kids construct in the garden?"),
    ("I always drink tea before going to bed.", "What beverage do I have at night?"),
    ("My wife plays the cello in an orchestra.", "Which instrument does my spouse perform on?"),
    ("The landlord raised what we pay each month.", "Who made our home more expensive?"),
    ("A storm tore down the fence.", "What damaged the boundary of our garden?"),
    ("He sold his motorcycle to pay for college.", "How did he finance his studies?"),
    ("We named the kitten after a composer.", "Where does our cat's name come from?"),
    ("The lawyer lost all the papers.", "What happened to the documents of the attorney?"),
    ("I cannot eat anything with nuts in it.", "Which food am I allergic to?"),
    ("My cousin works as a pilot.", "Which relative flies aeroplanes?"),
    ("The bridge is shut for repairs until autumn.", "Which crossing can we not use now?"),
    (
        "She speaks Portuguese with her grandparents.",
        "What language do she and the old folks use?",
    ),
    ("The hotel had no warm water.", "What was wrong with our accommodation?"),
    ("My son wants to become a fireman.", "What is my boy's dream career?"),
    ("We spend every summer at a lake in the north.", "Where do we go on vacation?"),
    ("Our printer jams whenever it is humid.", "Which office machine fails in damp weather?"),
    ("I broke my leg while skiing.", "How did I get injured in the snow?"),
    ("The professor cancelled the exam.", "Who called off the test?"),
    ("They serve the soup cold there.", "What is special about the starter in that restaurant?"),
    ("My grandfather built boats by hand.", "What was the trade of my grandpa?"),
    ("The fridge makes a loud noise at night.", "Which kitchen appliance disturbs our sleep?"),
    ("A stranger returned my wallet.", "Who brought back my purse?"),
    ("We bought the house because of the garden.", "What made us choose our home?"),
    ("The goalkeeper missed the whole season.", "Which player was absent all year?"),
    ("My boss prefers phone calls to letters.", "How should I contact my manager?"),
    ("The museum shows old maps this month.", "What can we see in the exhibition?"),
    ("I gave my sister a silver ring.", "What jewellery did I present to my sibling?"),
    ("Our village has only one shop.", "How many stores are there where we live?"),
    ("The train was late because of a cow.", "Which animal caused the delay?"),
]
"""Written after all that finds them; nothing was tuned with these."""

_ZH = (
    ["小王", "李老师", "我女儿", "邻居", "陈医生", "我表哥", "房东", "新同事"],
    [
        ("{p}最怕吃{v}。", "{p}不敢吃的东西是什么？", ["香菜", "榴莲", "生鱼片", "羊肉", "芹菜"]),
        (
            "{p}小时候住在{v}。",
            "{p}小时候住在哪里？",
            ["山脚下", "海边的渔村", "外婆家", "铁路旁边"],
        ),
        ("{p}每天坐{v}上班。", "{p}怎么去上班？", ["地铁", "渡轮", "公交车", "自行车"]),
        ("{p}的爱好是{v}。", "{p}有什么爱好", ["养兰花", "下围棋", "修手表", "拉二胡", "写毛笔字"]),
        (
            "{p}把钥匙放在{v}。",
            "{p}的钥匙放在什么地方？",
            ["鞋柜上面", "花盆底下", "信箱里面", "门后挂钩"],
        ),
        ("{p}打算明年学{v}。", "{p}明年想学什么？", ["开飞机", "德语", "做面包", "潜水"]),
    ],
    [
        "今天天气不错。",
        "我们继续吧。",
        "等一下再说。",
        "会议又晚了。",
        "好的，下一个问题。",
        "我去倒杯水。",
    ],
    ["好的，明白了。", "收到，我们继续。", "没问题，请接着说。", "了解，我会留意这一点。"],
)
_JA = (
    ["田中さん", "うちの娘", "隣の人", "山本先生", "いとこ", "大家さん", "新しい部長", "弟"],
    [
        (
            "{p}は{v}が苦手です。",
            "{p}が苦手なものは何ですか？",
            ["納豆", "高い所", "犬", "パクチー", "注射"],
        ),
        (
            "{p}は子供の頃{v}に住んでいました。",
            "{p}は子供の頃どこに住んでいましたか？",
            ["港町", "山の中の村", "祖母の家", "線路のそば"],
        ),
        ("{p}の趣味は{v}です。", "{p}の趣味は何ですか", ["盆栽", "将棋", "登山", "陶芸", "三味線"]),
        (
            "{p}は鍵を{v}に置いています。",
            "{p}の鍵はどこにありますか？",
            ["下駄箱の上", "植木鉢の下", "郵便受けの中", "玄関の棚"],
        ),
        (
            "{p}は来年{v}を習うつもりです。",
            "{p}は来年何を習いますか？",
            ["ドイツ語", "パン作り", "水泳", "書道"],
        ),
        (
            "{p}は毎日{v}で通勤しています。",
            "{p}はどうやって通勤していますか？",
            ["電車", "自転車", "フェリー", "路面バス"],
        ),
    ],
    [
        "今日はいい天気ですね。",
        "次に進みましょう。",
        "少し待ってください。",
        "会議が長引きました。",
        "そうですね。",
    ],
    [
        "わかりました。",
        "承知しました。続けましょう。",
        "はい、次をどうぞ。",
        "なるほど、覚えておきます。",
    ],
)
_AR = (
    [
        "جارتي",
        "ابنتي",
        "الأستاذ سمير",
        "المدير الجديد",
        "ابن عمي",
        "الطبيب خالد",
        "صاحب البيت",
        "أخي",
    ],
    [
        (
            "لا يحب {p} أكل {v}. ",
            "ما الطعام الذي لا يحبه {p}؟",
            ["الكزبرة", "السمك النيء", "الباذنجان", "لحم الضأن"],
        ),
        (
            "عاش {p} في طفولته قرب {v}. ",
            "أين عاش {p} في طفولته؟",
            ["الميناء القديم", "سفح الجبل", "محطة القطار", "بيت الجدة"],
        ),
        (
            "هواية {p} هي {v}. ",
            "ما هي هواية {p}",
            ["صيد السمك", "لعب الشطرنج", "إصلاح الساعات", "الخط العربي"],
        ),
        (
            "يضع {p} المفتاح في {v}. ",
            "أين يضع {p} المفتاح؟",
            ["صندوق البريد", "أصيص الزهور", "درج المطبخ", "خزانة الأحذية"],
        ),
        (
            "ينوي {p} أن يتعلم {v} في العام القادم. ",
            "ماذا ينوي {p} أن يتعلم؟",
            ["اللغة الألمانية", "صنع الخبز", "الغوص", "قيادة الطائرات"],
        ),
        (
            "يذهب {p} إلى العمل كل يوم على {v}. ",
            "كيف يذهب {p} إلى العمل؟",
            ["الدراجة", "العبارة", "القطار السريع", "الحافلة"],
        ),
    ],
    [
        "الطقس جميل اليوم. ",
        "لنكمل من فضلك. ",
        "انتظر قليلا. ",
        "تأخر الاجتماع مرة أخرى. ",
        "حسنا، التالي. ",
    ],
    ["حسنا، فهمت.", "تمام، لنتابع.", "لا مشكلة، تفضل.", "سأتذكر ذلك."],
)
LANGUAGES = {"zh": _ZH, "ja": _JA, "ar": _AR}
"""For each: people, facts as (telling, question, values), small talk, answers."""
