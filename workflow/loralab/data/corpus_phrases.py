"""The words of the embedded corpus: grammar, slang and traps. Data only; `corpus` is the engine.

`GRAMMAR` maps a slot name to its alternatives, separated by `|`. White space around and line
breaks inside an alternative are layout, not text. `{name}` stands for one alternative of that
slot, chosen anew wherever it appears. A weight is expressed by repeating an alternative.

Every sentence was written for this project; none comes from a published collection. Brands are
invented, web addresses end in the reserved `.example`, and telephone numbers lie in the ranges
that the British regulator keeps free for fiction (07700 900xxx, 020 7946 0xxx, 03069 990xxx,
08081 570xxx, 0909 879 0xxx), so nobody can be rung up by accident.
"""

GRAMMAR = {
    # Building blocks: digits, codes, names
    "N": "0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9",
    "K": "1 | 2 | 3 | 4 | 5 | 6 | 7 | 8 | 9",
    "L": "A | B | C | D | E | F | G | H | J | K | L | M | N | P | R | S | T | V | W | X | Y | Z",
    "few": "two | three | four | five | six | seven | eight | ten | a dozen | 2 | 3 | 4 | 5 | 6",
    "many": "20 | 30 | 45 | 50 | 60 | 80 | 100 | 120 | 200 | forty | sixty | a hundred",
    "clock": """
        {K} | half {hourword} | quarter past {hourword} | quarter to {hourword} | {K}.30 | {K}:45
        | {K}ish | noon | ten to {hourword}
    """,
    "hourword": "one | two | three | four | five | six | seven | eight | nine | ten | eleven",
    "weekday": "Monday | Tuesday | Wednesday | Thursday | Friday | Saturday | Sunday",
    "month": """
        January | February | March | April | May | June | July | August | September | October
        | November | December
    """,
    "when": """
        tonight | tomorrow | after work | after lunch | this weekend | on {weekday} | next {weekday}
        | at {clock} | around {clock} | later | in a bit | before dinner | in the morning
        | this afternoon | {weekday} night | by {clock} | after class | when you wake up
        | when the rain stops | once the kids are asleep | straight after breakfast
        | before it gets dark | at the end of {month} | in {few} days | during my break
        | early on {weekday}
    """,
    "past_when": """
        yesterday | last night | this morning | on {weekday} | last week | in {month} | just now
        | an hour ago | over the weekend | two days ago | at lunch | back in {month} | again today
        | on the way home
    """,
    "name": """
        Tom | Priya | Nadia | Owen | Marta | Felix | Ruth | Kwame | Ines | Joel | Hana | Leo | Bea
        | Ravi | Greta | Niall | Suki | Omar | Elsie | Hugo | Tess | Milo | Anya | Dev | Freya | Gus
        | Ivy | Jonas | Kitty | Lars | Mina | Ned | Olga | Pip | Rosa | Seth | Tara | Umar | Vera
        | Wes | Yara | Zack | Zoë | Chloé | André | Jürgen | Noor | Dilan | Mei | Bodhi | Carys
        | Ewan | Fatima | Gwen | Idris | Jaya | Kofi | Lena | Marek | Nell | Ottilie | Paolo | Renée
        | Sanjay | Thea | Winnie | Asha | Barney | Callum | Delia | Edie | Frank | Hattie | Imran
        | Juno | Keiko | Lottie | Magnus | Nico | Otis | Petra | Rory | Selma | Toby | Ursula | Wilf
        | Xenia | Yusuf
    """,
    "kin": """
        mum | dad | my sister | my brother | grandma | grandad | my aunt | my uncle | my cousin
        | the twins | my nephew | my niece | the baby | my flatmate | my other half
        | my father in law | my gran | my stepdad | my little sister | my godmother | my fiancé
        | my roommate
    """,
    "someone": """
        {name} | {name} | {name} | {kin} | {kin} | {name} and {name} | {name}'s {friendkind} | {kin}
    """,
    "friendkind": """
        boss | neighbour | girlfriend | boyfriend | cousin | lawyer | teacher | husband | wife
        | tutor | dentist | band | team | mate | coach | landlord | daughter | son
    """,
    "pet_name": """
        babe | love | hun | mate | dear | honey | dude | sweetie | man | bro | sis | darling | buddy
        | my friend | pumpkin | lovely | captain | boss
    """,
    "animal": """
        cat | dog | puppy | kitten | hamster | rabbit | parrot | goldfish | pony | hedgehog
        | tortoise | goat | hen | fox | squirrel | owl | donkey | spider | pigeon | swan | lizard
        | guinea pig | badger | duck | sheep | snail | wasp | mouse | seagull | otter
    """,
    "food": """
        pasta | noodles | fried rice | lentil soup | dumplings | pancakes | an omelette | porridge
        | curry | a burger | fish and chips | roast chicken | mushroom pie | lasagne | tacos | sushi
        | a cheese toastie | salad | beans on toast | leftover pizza | lamb stew | chilli | samosas
        | a kebab | scrambled eggs | ramen | risotto | meatballs | mashed potato | banana bread
        | crème brûlée | apple crumble | ice cream | jalapeño nachos | a croissant | muffins | dhal
        | prawn crackers | tofu | waffles | gnocchi | stuffed peppers | cauliflower cheese
        | a baked potato | garlic bread | sausages | spinach | plum tart | coconut rice
        | tomato soup | barbecued corn | falafel | hummus | a bacon sandwich | cheesecake
        | shepherd's pie | sweet potato | smoked salmon | olives | jerk chicken | spring rolls
        | laksa | biryani | quiche | paella | ratatouille
    """,
    "drink": """
        tea | coffee | hot chocolate | lemonade | a pint | ginger beer | orange juice | red wine
        | a smoothie | cider | iced tea | milk | a cocktail | whisky | sparkling water | a latte
        | mint tea | a milkshake | mango lassi | an espresso
    """,
    "grocery": """
        bread | eggs | butter | onions | carrots | washing powder | nappies | bin bags | cat litter
        | toothpaste | bananas | yoghurt | flour | sugar | rice | shampoo | light bulbs | batteries
        | stamps | cheddar | cereal | tissues | lettuce | honey | pepper | broccoli | cling film
        | soap | candles | garlic | parsley | vinegar | tinned tuna | biscuits | crisps | lemons
        | plasters | sun cream | wrapping paper | dog food | raisins | courgettes | kitchen roll
        | olive oil | mustard | jam | oats | baking powder
    """,
    "place": """
        the library | the station | the gym | the park | the cinema | the office | the bus stop
        | the market | the pool | the pub | the chemist | the post office | the airport
        | the hospital | the beach | the museum | the bakery | the garage | the football ground
        | the church | the harbour | the old mill | the canteen | the lecture hall
        | the shopping centre | the corner shop | the allotment | the playground | the town hall
        | the dentist | the hairdresser | the launderette | the car park | the ferry terminal
        | the castle | the bowling alley | the ice rink | the community centre | the car wash
        | the farm shop | the theatre | the riverside | the roundabout | the school gate
        | the garden centre | the surgery | the embassy | the seafront | the noodle bar | the café
        | the crèche | the skate park | the bookshop | the tennis club | the hostel | the campsite
        | the courthouse | the nursery | the stadium | the lighthouse | the reservoir
        | the botanic garden
    """,
    "town": """
        Lisbon | Glasgow | Oslo | Naples | Accra | Delhi | Penang | Dublin | Leeds | Cardiff
        | Zürich | Málaga | Kraków | Nairobi | Boston | Kyoto | Seville | Bristol | Norwich | Whitby
        | Galway | Lagos | Mumbai | Toronto | Sydney | Ghent | Lyon | Bergen | Split | Hanoi
        | Colombo | Dover | Inverness | Cork | Tunis | Athens | Prague | Vienna | Bali | Quito
    """,
    "street": """
        Mill Lane | Church Street | Station Road | Orchard Close | Harbour Row | Elm Avenue
        | Castle Hill | Bridge Street | Tanner's Yard | Windmill Way | Rope Walk | Cherry Gardens
        | Quarry Road | Foundry Lane
    """,
    "item": """
        phone | charger | laptop | wallet | umbrella | keys | jacket | bike | helmet | passport
        | camera | notebook | headphones | glasses | rucksack | guitar | kettle | toaster | drill
        | ladder | tent | sleeping bag | suitcase | scarf | gloves | boots | trainers | raincoat
        | swimsuit | blanket | pillow | lamp | printer | keyboard | mouse mat | microwave | saucepan
        | lunchbox | water bottle | thermos | hoover | lawnmower | wheelbarrow | screwdriver
        | spanner | paintbrush | sewing machine | violin | drum kit | chessboard | jigsaw
        | skateboard | football | racket | watch | necklace | earrings | ring | hat | belt | tie
        | dress | suit | hoodie | jeans | cardigan | socks | purse | handbag | diary | calculator
        | torch | radio | speaker | television | remote | games console | armchair | bookcase
        | wardrobe | mattress | curtains | rug | mirror | vase | teapot | mug | cake tin | blender
        | freezer | dishwasher | boiler | car seat | pushchair | scooter | tripod | binoculars
        | telescope | yoga mat | library card | train ticket | driving licence | spare key
        | birthday card | memory stick | inhaler
    """,
    "adj": """
        lovely | awful | brilliant | rubbish | expensive | cheap | tiny | enormous | weird
        | gorgeous | boring | noisy | fresh | cosy | filthy | broken | ancient | shiny | awkward
        | hilarious | delicious | soggy | spicy | confusing | impressive | ridiculous | perfect
        | dreadful | pleasant | spooky | wonderful | scruffy | complicated | massive | decent
        | freezing | fluffy | dodgy | glorious | grim | magical | painful | peculiar | pricey
        | quiet | rusty | salty | sensible | sticky | strange | stunning | terrible | tidy | tricky
        | ugly | useful | wobbly | mouldy | charming | dull | fancy | gloomy
    """,
    "feeling": """
        tired | happy | sad | nervous | excited | bored | hungry | sleepy | grumpy | lonely | proud
        | worried | grateful | confused | jealous | relieved | stressed | calm | guilty | homesick
        | embarrassed | thrilled | fed up | knackered | peckish | poorly | dizzy | hopeful | shy
        | furious | cheerful | gutted | over the moon | a bit lost | completely drained
        | much better | half asleep | restless | sentimental | stupid | brave | speechless | chuffed
        | ashamed | anxious | content | cross | disappointed | inspired | miserable
    """,
    "intens": """
        so | so | really | very | pretty | kinda | a bit | totally | sooo | super | quite | proper
        | too | seriously | absolutely
    """,
    "chore": """
        pick up the kids | walk the dog | feed the cat | buy {grocery} | buy {grocery}
        | get {grocery} and {grocery} | call the plumber | call {kin} | call {name} back
        | pay the rent | pay the gas bill | water the plants | take the bins out | post the parcel
        | charge your phone | lock the back door | bring your {item} | bring my {item} back
        | pack your {item} | return the library books | book the tickets | print the boarding passes
        | send {name} the photos | iron a shirt | clean the oven | empty the dishwasher
        | hang up the washing | cancel the milk | feed the {animal} | mow the lawn | fix the tap
        | change the light bulb | defrost the chicken | set an alarm | ring the school
        | collect the prescription | check the tyre pressure | fill up the car | return the {item}
        | look for my {item} | borrow the {item} from {name} | tell {someone} about {when}
        | ask {name} for the recipe | sort out the spare room | sign the form | hand in the essay
        | finish the report | reply to {name} | send me the address | text me the address
        | save me a seat | keep me some {food} | order {food} | reserve a table
        | drop the {item} at {place} | leave the {item} under the mat | pick me up from {place}
        | meet me at {place} | meet {name} at {place} | say happy birthday to {name}
        | win one game for once | claim your travel expenses | turn the heating off
        | put the {item} in the loft | hide the present | wrap the present | wish {name} luck
        | measure the window | paint the fence | return the trolley | descale the kettle
        | vaccinate the puppy | renew my passport | update my cv | practise the piano
        | revise for the exam | email the tutor | photocopy the map | download the timetable
        | unblock the sink | tighten the screws | sweep the yard | rake the leaves | prune the roses
        | sharpen the knives | polish my shoes | weigh the suitcase | check the oven
        | light the fire | chop the onions | peel the potatoes | marinate the chicken
        | whisk the cream
    """,
    "did": """
        missed the bus | missed the last train | burnt the toast | burnt the rice | lost my {item}
        | lost my {item} again | found my {item} | found your {item} in the car | broke the {item}
        | spilt {drink} on the {item} | dropped my {item} in the sink | forgot the {item}
        | forgot {name}'s birthday | forgot my umbrella | bought a new {item}
        | bought {food} for everyone | ate {food} for breakfast | ate all the {grocery}
        | slept through the alarm | slept on the sofa | fell asleep on the train | fell off my bike
        | tripped over the {animal} | ran into {name} at {place} | saw {name} at {place}
        | saw a {animal} in the garden | met {someone} for {drink} | won the quiz
        | won {many} in the office raffle | lost the match | passed my driving test
        | failed the maths test | got the job | got soaked | got stuck in the lift
        | got a parking ticket | got lost near {place} | got my hair cut | had a row with {name}
        | had {food} with {kin} | had {few} cups of coffee | had a strange dream about a {animal}
        | cooked {food} | baked a cake for {name} | cleaned the whole kitchen | painted the bathroom
        | planted tomatoes | cut my finger | hurt my back | watched the whole series
        | watched a film about a {animal} | read half the book | finished the jigsaw
        | learned a new song | played cards with {kin} | cried at the wedding
        | laughed until it hurt | locked myself out | left the gas on | left my {item} at {place}
        | sold the car | sold my old {item} | fixed the {item} | cracked the screen
        | deleted your number by accident | handed in my notice | booked the flights
        | paid the deposit | argued about nothing | walked home in the rain | swam {few} lengths
        | climbed the hill behind {place} | cycled to {place} | queued for {many} minutes
        | waited at {place} for {many} minutes | called the doctor | called {place} about the {item}
        | returned the {item} | skipped lunch | quit the choir | joined a running club
        | signed the lease | moved the sofa | unpacked {few} boxes | repaired the shed
        | chased the {animal} out | rescued a {animal} | stepped on a {animal} | caught a cold
        | sprained my ankle | shaved my beard | dyed my hair | knitted a scarf | wrote a poem
        | sang at the open mic | drove past your old house
    """,
    "doing": """
        waiting for the bus | waiting at {place} | sitting at {place} | standing outside {place}
        | driving | driving home | having {food} | having dinner with {someone}
        | having {drink} with {name} | cooking {food} | doing the dishes | doing my homework
        | watching the match | watching a film with {kin} | reading in bed | lying in the bath
        | walking to {place} | walking the dog | stuck in traffic | stuck in a meeting
        | on the train | on the bus | in a lecture | in the queue at {place} | at {place}
        | at {place} with {someone} | packing | packing for {town} | looking for my {item}
        | fixing the {item} | babysitting | painting the hall | revising | studying in {place}
        | shopping with {kin} | trying on a {item} | feeding the {animal} | cleaning out the {item}
        | playing chess with {kin} | listening to the radio | working late | working from home
        | getting ready | getting my hair done | on my way | about to leave | about to board
        | about to eat | helping {name} move | picking {name} up from {place} | boarding the ferry
        | folding laundry | hiding from the rain | baking | practising | jogging round the reservoir
        | ironing | gardening | visiting {kin} | minding the shop | marking essays
        | assembling a wardrobe | nursing a cold
    """,
    "hobby": """
        football | badminton | chess | knitting | karaoke | climbing | swimming | yoga | photography
        | cycling | gardening | baking | fishing | rugby | cricket | hockey | salsa | pottery
        | camping | birdwatching | juggling | painting | running | netball | darts | snooker
        | table tennis | judo | choir practice | archery | crochet | kayaking | basketball
        | volleyball | origami | stargazing
    """,
    "subject": """
        maths | chemistry | history | biology | statistics | economics | law | geography | physics
        | accounting | French | German | Spanish | nursing | music theory | philosophy | psychology
        | engineering | anatomy | literature | marketing | algebra | linguistics | architecture
    """,
    "job": """
        nurse | teacher | plumber | driver | waiter | baker | electrician | manager | chef | postman
        | receptionist | builder | librarian | farmer | pharmacist | carpenter | pilot | vet
        | mechanic | cleaner | gardener | barber | journalist | photographer | accountant
        | lifeguard | translator | surgeon | caretaker | tailor
    """,
    "ill": """
        a headache | a cold | the flu | a sore throat | toothache | a fever | hay fever
        | a stomach ache | a cough | a migraine | a rash | a bad knee | a stiff neck | a blister
        | chickenpox | hiccups | an ear infection | backache | a bruise | food poisoning
        | a hangover | sunburn
    """,
    "colour": """
        red | blue | green | yellow | purple | orange | pink | turquoise | beige | navy | silver
        | golden | scarlet | grey | maroon | lilac
    """,
    "show": """
        film | play | concert | match | exhibition | musical | documentary | lecture | comedy night
        | festival | series | ballet | parade | firework display | circus | book launch | quiz night
    """,
    "event": """
        birthday | wedding | barbecue | graduation | leaving do | housewarming | picnic | reunion
        | school play | christening | sports day | funeral | baby shower | anniversary
        | engagement party | street party | office party | prize giving | village fête
        | sponsored walk
    """,
    "laugh": """
        haha | lol | hehe | ha | :) | ;) | :-) | :D | xx | x | 😂 | lmao | heh | hahaha | ❤ | 🎉
    """,
    "reason": """
        the car won't start | the bus never came | I overslept | the meeting ran over
        | {kin} needed a lift | I couldn't find my {item} | the trains are cancelled
        | my {item} is broken | my battery died | I had no signal
        | there was an accident on the motorway | the {animal} escaped | it's pouring down
        | my shift changed | I'm still {doing} | I've got {ill} | {name} cancelled
        | the babysitter is late | we ran out of {grocery} | I was {doing} | my phone was on silent
        | the alarm didn't go off | the cashpoint was empty | the kids have {ill}
        | someone blocked the drive | the lift is out of order | my manager called me in
    """,
    "weather": """
        it's raining again | it's boiling here | it's freezing outside | the snow is {adj}
        | what a storm | the fog is {intens} thick | sunshine at last
        | it's so windy the bins blew over | the heating has packed up | the sky is a funny colour
        | there's frost on the windscreen | it's drizzling | the thunder woke the baby
        | no rain for weeks | the river is nearly over the path | it hailed on the washing
        | the moon is huge tonight | such a humid night | the pavement is all ice
        | hottest {weekday} in years
    """,
    # Everyday ham, by topic
    "ham_plans": """
        are you free {when}?
        | are you coming to {place} {when}?
        | do you fancy {food} {when}?
        | shall we meet at {place} {when}?
        | what time are you meeting {someone}?
        | let's do {hobby} {when}
        | let's go to {place} and get {food}
        | I can't make it {when}, {reason}
        | we're meeting {name} at {place} {when}, want to join?
        | what are you up to {when}?
        | I'm free {when} if you still want to go to {place}
        | can we move it to {weekday}? {reason}
        | {name} is having people round {when}
        | I thought we could try {hobby} {when}
        | book us in for {clock} then
        | {when} works for me
        | don't wait for me, {reason}
        | tell {name} to be at {place} by {clock}
        | what's the plan for {weekday}?
        | count me in for {hobby}
        | I promised {kin} I'd go to {place} {when}
        | maybe {weekday}? I'm {doing} until {clock}
        | either {food} at mine or {drink} in town, you choose
        | we said {clock} didn't we?
        | nothing planned {when}, just {hobby} with {name}
        | still on for {hobby} {when}?
        | there's a {show} at {place} {when} if you're interested
        | wanna go halves on {food}?
    """,
    "ham_where": """
        I'm {doing}, where are you?
        | I'm {doing}
        | just {doing}, call you {when}
        | I'm {doing}, will be {few} minutes
        | still {doing}
        | we're {doing}, come and find us
        | have you left yet?
        | reached {place} safely
        | I'm at the wrong entrance of {place}
        | have you seen {name}? supposed to be at {place}
        | can't talk, {doing}
        | on my way to {place} now, {few} stops to go
        | almost at {place}
        | you back home yet?
        | I'm outside, which door?
        | I'm by the {colour} door near {place}
        | how far are you from {place}?
        | am in {town} till {weekday}
        | landed in {town}, queue is {adj}
        | sorry can't pick up, {doing}
        | will be late, {reason}
        | running {many} minutes late, {reason}
        | {name} is here already, hurry up
    """,
    "ham_directions": """
        turn left at {place} and go past {street}
        | take bus {K}{N} to {place} and get off at {street}
        | it's the {colour} house opposite {place}
        | walk up {street} till you see {place}
        | if you reach {place} you've gone too far
        | park behind {place}, it's free after {clock}
        | get off at {street} and call me
        | exit the station, cross the road, second door after {place}
        | the flat is above {place}, press the {colour} bell
        | don't follow the satnav, it sends you to {street}
        | we're on floor {K}, the lift is next to the {colour} sofa
        | go straight down {street}, then ask anyone for {place}
        | number {K}{N} {street}, the gate with the {animal} on it
        | platform {K}, front carriage
        | key is under the {colour} pot by the {item}
    """,
    "ham_family": """
        {kin} says hello
        | {kin} is asking about you
        | {kin} {did}
        | have you called {kin}?
        | {kin} wants you to {chore}
        | {kin} is in hospital but doing ok
        | we're taking {kin} to {place} {when}
        | {kin} made {food} and there's loads left
        | {kin} has {ill} so we stayed in
        | {kin} just learned how to text, be kind
        | happy birthday to {kin} from all of us
        | the kids are {intens} {feeling} today
        | {kin} turned {many} {past_when}
        | {kin} and {kin} are arguing about the {item} again
        | the baby has {few} teeth now
        | I told {kin} about {town}, big mistake
        | {kin} sends kisses
        | {kin} still talks about the {event}
        | dinner at {kin}'s {when}, bring {grocery}
        | we named the {animal} {name}
        | {kin} got a {adj} {item} from {name}
    """,
    "ham_chores": """
        can you {chore}?
        | could you {chore} {when}?
        | please {chore}
        | don't forget to {chore}
        | remember to {chore} {when}
        | I need to {chore} {when}
        | I have to {chore} first
        | I'm gonna {chore} {when}
        | we gotta {chore} {when}
        | gonna {chore}, back {when}
        | did you {chore}?
        | I'll {chore} {when}
        | we're out of {grocery} and {grocery}
        | can you get {grocery}, {grocery} and {grocery}?
        | do we need {grocery}?
        | I've got {grocery}, anything else?
        | the {item} is leaking again
        | whose turn is it to {chore}?
        | I was supposed to {chore} but {reason}
        | there is {grocery} in the fridge and {food} in the oven
        | remind me to {chore} {when}
        | if you get home first please {chore}
        | you never {chore}
        | tell {kin} to {chore}
        | I asked {name} to {chore}
        | the {item} needs cleaning
        | one more thing, {chore}
    """,
    "ham_work": """
        my boss wants the report by {clock}
        | meeting moved to {clock} in the {colour} room
        | I'm the only {job} on shift {when}
        | work was {adj} today
        | got the rota, I'm on {weekday} and {weekday}
        | the {job} at work {did}
        | interview went ok I think, felt {feeling}
        | they offered me the job as a {job}!
        | can you cover my shift {when}?
        | the printer is broken again and {name} is {feeling}
        | my contract ends in {month}
        | I finish at {clock}, then {drink}?
        | the client hated the {colour} one
        | training all day, the sandwiches were {adj}
        | payday is {weekday}, until then it's {food}
        | have you sent {name} the invoice?
        | please check the figures on page {K} before {when}
        | our new {job} is {intens} {adj}
        | {many} emails since lunch, I give up
        | the office smells of {food}
        | I've asked for {weekday} off
        | do you know any {job} looking for work?
        | overtime {when}, can't come to {hobby}
        | the budget meeting is cancelled, hooray
        | could you forward me the minutes from {weekday}?
    """,
    "ham_study": """
        have you done the {subject} homework?
        | my {subject} exam is {when}
        | I failed {subject} again
        | the {subject} lecture was {adj}
        | do you have notes for {subject}?
        | which chapter is on the {subject} test?
        | essay due {when} and I've written {few} lines
        | got {many} percent in {subject}!
        | the tutor says my {subject} draft is {adj}
        | study group at {place} {when}
        | the lab is shut, {subject} moved to {weekday}
        | I swapped {subject} for {subject}
        | no class {when}, the lecturer has {ill}
        | can you explain the {subject} question about the {animal}?
        | please bring the {subject} book {when}
        | we're doing a project on the history of the {item}
        | results come out in {month}, I'm {feeling}
        | {name} copied my {subject} answers, even the wrong ones
        | library fine is {many}, it cost less to buy the book
        | semester ends in {few} weeks
    """,
    "ham_food": """
        had {food} for dinner
        | I'm making {food}, want some?
        | what do you want for dinner, {food} or {food}?
        | I'm craving {food}
        | that {food} was {adj}
        | the {food} at {place} is {adj}
        | {name} cooked {food} and it was {adj}
        | no more {food} for me this week
        | how do you make {food}?
        | add {grocery} and {grocery}, leave it for {many} minutes
        | eaten yet?
        | I only had {drink} and a biscuit
        | save me some {food}
        | is there any {food} left?
        | we could get {food} on the way
        | the oven is dead so it's {food}
        | I put too much {grocery} in the {food}
        | {kin} is allergic to {grocery}
        | {drink} first, then talk
        | I dreamt about {food}
        | try it with {grocery}, trust me
        | breakfast was {food} and {drink}, living like royalty
        | new place near {place} does {food} and {food}
    """,
    "ham_feelings": """
        I'm {intens} {feeling}
        | I'm {intens} {feeling} today
        | feeling {feeling} and {feeling}
        | don't be {feeling}
        | are you ok? you seemed {feeling} {past_when}
        | why are you so {feeling}?
        | I feel {feeling} about what I said
        | sorry I was {feeling} {past_when}
        | I miss you
        | I miss your cooking
        | thinking of you
        | you make me {feeling}
        | I can't sleep, {intens} {feeling}
        | I need a hug
        | I hate it when we fight
        | thank you for listening {past_when}
        | you're the best thing that happened to me
        | I don't know what I'd do without you
        | are you still angry with me?
        | I didn't mean it, I was {feeling}
        | good luck {when}, you'll be fine
        | it's over between {name} and me
        | take care of yourself, you sound {feeling}
        | I just want to go home
        | proud of you
        | everything reminds me of {town}
        | I wish you were here
        | sending you strength for {when}
        | can I tell you a secret? I'm {feeling}
        | nobody remembered my birthday except {kin}
        | it will pass, it always does
    """,
    "ham_love": """
        good morning {pet_name}
        | good night {pet_name}, sleep well
        | can't wait to see you {when}
        | did you dream of me?
        | I love you more than {food}
        | your smile is better than {drink} in the morning
        | counting the days until {month}
        | come home soon, the bed is cold
        | you looked {adj} {past_when}
        | the {animal} misses you too
        | I kept your {item} on my pillow
        | kiss the kids for me
        | every song on the radio is about us
        | only {few} more sleeps
        | you're my favourite {job}
        | hold my hand at the {event}?
        | you snore and I still love you
        | I'd walk to {town} for you
    """,
    "ham_health": """
        I've got {ill}
        | {kin} has {ill}
        | the doctor says it's just {ill}
        | took a tablet for {ill}, feeling {feeling}
        | dentist {when}, I'm {feeling}
        | how is your {bodypart}?
        | my {bodypart} hurts after {hobby}
        | is your {bodypart} better?
        | the scan is {when}, cross your fingers
        | drink water and go to bed
        | they gave me {few} stitches in my {bodypart}
        | I'm giving up {grocery} for a month
        | lost {few} kilos, gained them back {past_when}
        | did you take your medicine?
        | visiting hours are until {clock}
        | the nurse was {adj}
        | {kin} can't bend the {bodypart}
        | my temperature is normal again
        | test came back clear!
    """,
    "bodypart": """
        back | knee | ankle | shoulder | tooth | wrist | thumb | foot | neck | elbow | eye | ear
        | big toe | stomach | hip | finger
    """,
    "ham_weather": """
        {weather}
        | {weather}, take a coat
        | {weather} so {hobby} is off
        | {weather}, how is it in {town}?
        | {weather} and I'm in {clothes}
        | {weather}, stay in and have {food}
        | wear {clothes}, {weather}
        | {weather}, typical {month}
    """,
    "clothes": """
        sandals | a thin shirt | shorts | a woolly jumper | two pairs of socks | my work shoes
        | a silly hat | a bin bag | wellies | my pyjamas | a borrowed coat | flip flops | thermals
        | a poncho
    """,
    "ham_news": """
        guess what, I {did}
        | I'm gonna tell {kin} that {name} {did}
        | I {did} {past_when}
        | I {did}
        | {name} {did}
        | {name} {did} {past_when}
        | you won't believe it, {someone} {did}
        | so {name} {did} and then {did}
        | {name} is getting married in {month}
        | {name} is pregnant!
        | {name} moved to {town}
        | did you hear {name} {did}?
        | {name} says {name} {did}, don't tell anyone
        | we've got the keys to the flat!
        | my {item} is finally fixed
        | somebody stole my {item}
        | they're closing {place}
        | the {animal} {animaldid}
        | you'll never guess who I saw at {place}
        | next door {did} and now the alarm is going
        | I finally {did}
        | remember {name} from {subject}? works as a {job} now
        | apparently {someone} {did}
    """,
    "animaldid": """
        had kittens | ate my homework | is stuck in the {item} | stole the {grocery}
        | bit the postman | learned to open doors | hid behind the boiler | was sick on the rug
        | has fleas | followed me to {place} | slept in the {item} | ran away twice | needs the vet
        | chewed my {item} | won a rosette
    """,
    "ham_shopping": """
        the {item} was half price so I got two
        | which {item} do you want, the {colour} or the {colour}?
        | does the {item} fit?
        | I saw a {adj} {item} at {place}
        | the {colour} {item} costs {many}, should I?
        | can you check the size of my {item}?
        | I'm taking the {item} back, it's {adj}
        | got {name} a {item}, do you think that's ok?
        | the sale at {place} is {adj}
        | no {item} in my size, only {colour} ones
        | they wanted {many} for a {item}, robbery
        | found the {colour} {item} you wanted
        | don't buy a {item}, I've got a spare
        | my new {item} is {intens} {adj}
        | I need a {item} for the {event}
        | swapped my {item} for a {item}
        | is the {item} still for sale?
        | keep the receipt for the {item}
    """,
    "ham_money": """
        can you lend me {many} till {weekday}?
        | I owe you {many} for the {item}
        | you still owe me for {food}
        | I've put {many} in your account
        | rent is {many} each this month
        | pay me back {when}
        | got {many} from {kin} for my birthday
        | how much was the {item}?
        | I'm broke till payday
        | {name} never pays for {drink}
        | my share is {many}, right?
        | cash or card at {place}?
        | spent {many} on {hobby} this month, oops
        | the electric bill came, sit down first
        | split it {few} ways
        | taxi home was {many}
        | saving up for a {item}
        | the bank is shut till {weekday}
        | tickets are {many} each, shall I get {few}?
    """,
    "ham_tech": """
        my phone is dying, use the landline
        | got a new number, save this one
        | my {item} won't switch on
        | what's the wifi password?
        | did you get my message?
        | did you get my email?
        | I only see half your text, send it again
        | how do I turn off the alarm?
        | the app deleted my photos from {town}
        | no signal at {place}
        | my keyboard types the letter {L} twice
        | send me that picture of the {animal}
        | check your email, sent you the {show} tickets
        | this phone changes every word I write
        | my inbox is full, delete some
        | the screen went {colour} and then it died
        | call me, easier than texting
        | can you hear me? the line is {adj}
        | who is this? I lost all my contacts
        | I'm out of credit, {kin} is letting me use this phone
        | video call {when}?
        | forgot my password again
    """,
    "ham_travel": """
        the train to {town} is delayed
        | we're off to {town} in {month}
        | flight lands at {clock}
        | {town} is {adj}, you'd love it
        | how was {town}?
        | ferry is cancelled, stuck in {town}
        | passport found, panic over
        | the hotel in {town} is {adj}
        | missed the connection in {town}, {reason}
        | we walked {few} miles to {place}
        | brought you {drink} from {town}
        | window seat next to a {job} who snores
        | is the coach from {town} or {town}?
        | {few} hours to {town}, bring {food}
        | the taxi {job} {did}
        | visa came through!
        | sunburnt in {town}, send help
        | can you water my plants while I'm in {town}?
        | the road to {town} is closed by {animal}s
        | our tent in {town} flooded
    """,
    "ham_fun": """
        the {show} was {adj}
        | the {show} starts at {clock}
        | I've got a spare ticket for the {show}
        | did you watch the {show} {past_when}?
        | have you seen the {show} about the {job} and the {animal}?
        | we lost {K} {K}, the referee was {adj}
        | {name} scored {few} goals!
        | {hobby} was {intens} {adj}
        | I'm terrible at {hobby}
        | {name} beat me at {hobby} again
        | new season of the {show}, don't spoil it
        | who won the {hobby}?
        | we won the {hobby}! drinks on {name}
        | call me when you win at {hobby}
        | I'd rather do {hobby} than {hobby}
        | {name}'s band plays at {place} {when}
        | karaoke {when}? {name} does a {adj} duet
        | the book about the {job} is {adj}, no ending
        | our {hobby} team needs one more
        | bring {clothes} for {hobby}
        | what a goal!
    """,
    "ham_party": """
        happy birthday {name}! have a {adj} day
        | {name}'s {event} is {when}
        | what are you wearing to the {event}?
        | are you invited to the {event}?
        | what shall we get {name} for the {event}?
        | the {event} was {adj}
        | thanks for coming to the {event}
        | thanks for the {item}, it's {adj}
        | surprise for {name} {when}, say nothing
        | bring {drink} and {food} to the {event}
        | {many} people said yes to the {event}
        | happy new year to you and {kin}
        | merry christmas, eat {food} for me
        | congratulations on the {event}!
        | {kin} danced with {name} at the {event}
        | I have nothing to wear to the {event}
        | can I bring {kin} to the {event}?
        | the cake looks like a {animal}
        | who is driving home from the {event}?
        | did we win anything in the raffle at the {event}?
    """,
    "ham_home": """
        the {item} in the {room} is broken
        | there's a {animal} in the {room}
        | the {room} is {intens} {adj} now
        | we're painting the {room} {colour}
        | who left {grocery} in the {room}?
        | landlord is coming {when}, tidy the {room}
        | the {job} is coming to fix the {item} {when}
        | the {job} charged {many} and the {item} still drips
        | there's no hot water
        | can you turn the music down? {kin} is asleep
        | where did you put my {item}?
        | your {item} is in the {room}
        | found your {item} behind the {item}
        | the neighbour's {animal} is in our {room}
        | we got a {colour} {item} for the {room}
        | boxes everywhere, I'm living in the {room}
        | smoke alarm again, {food} this time
        | power cut, sitting here with candles
    """,
    "room": """
        kitchen | bathroom | garden | garage | hallway | attic | cellar | bedroom | shed | porch
        | living room | greenhouse | pantry | balcony | stairwell | conservatory
    """,
    "ham_chat": """
        how are you?
        | how's things?
        | what's up?
        | how was your day?
        | how did it go {past_when}?
        | what are you doing?
        | long time no speak
        | you there?
        | any news from {name}?
        | tell me everything
        | are you asleep?
        | why didn't you answer?
        | you're {intens} funny
        | I was just about to text you
        | speak {when}
        | ask {name}, I don't know
        | I don't think so
        | not really, you?
        | that's {adj}
        | that's what {name} said too
        | I knew it
        | no idea what you mean
        | you said {weekday}, I said {weekday}
        | are you sure?
        | it depends on {name}
        | let me check with {someone}
        | I'll let you know {when}
        | I told you about it {past_when}
        | fine, be like that
        | ok, {clock} then
        | never mind, sorted
        | have you told {someone}?
        | I'm not {feeling}, just {feeling}
        | sounds {adj}
        | why is everyone so {feeling} today?
        | give me {few} minutes
        | what did {name} say?
        | thank you so much
        | sorry, wrong person
    """,
    "ham_thought": """
        "{wise}" {laugh}
        | "{wise}", as {kin} would say
        | "{wise}" and "{wise}", which is it?
        | "{wise}" is written on the wall at {place}
        | "{truefriend_quote}" - from a card {kin} sent me
        | a true friend {truefriend}
        | life is like {food}, {lifelike}
        | never trust a {job} with a {adj} {item}
        | {wise}, said {kin}
        | if you {did}, forgive yourself and have {drink}
        | some days you are the {animal}, some days the {animal}
        | {wise}
        | the older I get the more I like {hobby} and {food}
        | one day we'll laugh about {town}
    """,
    "truefriend": """
        brings {food} when you are {feeling} | knows your worst song and sings along
        | tells you there is spinach in your teeth | answers the phone at three
        | keeps the secret and the spare key | helps you move on a {weekday}
        | laughs before the joke ends | lends you the {item} and never mentions it
    """,
    "truefriend_quote": "A true friend {truefriend} | A good neighbour {truefriend}",
    "lifelike": """
        better shared | it burns when you look away | you need salt | you never know what is inside
        | some of it ends up on the floor | best when warm | always too short
        | you learn by ruining it
    """,
    "wise": """
        patience is a long spoon | small steps still climb the mountain
        | rain makes the garden and the mud | silence is also an answer
        | nobody ever regretted a walk | kindness costs nothing and pays interest
        | borrowed trouble must be returned | the kettle boils when you stop watching
        | truth arrives late but it arrives | every wall was once a heap of stones
        | worry is a rocking chair | dreams need shoes | the map is not the road
        | gratitude turns crumbs into a feast | courage is fear that kept walking
        | old wood burns brightest | a closed fist holds nothing | tides forget no shore
        | honest hands sleep soundly
    """,
    "ham_joke": """
        {joke}
        | {joke} {laugh}
        | ok joke time. {joke}
        | {kin} told me this: {joke}
    """,
    "joke": """
        why did the {animal} cross {street}? Because {name} was on the other side
        | what do you call a {job} with no {item}? Unemployed
        | my {animal} can play {hobby} but always cheats
        | I told the {job} I had {ill}, he charged me for two
        | knock knock, who's there, {name}, do I know you? See, you forgot me already
        | I started a diet of {food} and lost three friends
        | my memory is so bad I forgot {few} things and one of them was {town}
        | the {job} says I need glasses, or was it {place}? I couldn't see
        | why are {animal}s bad at {hobby}? They never follow the rules
        | I bought a {colour} {item} that does everything except work
        | {name} is so slow a {animal} gave up waiting
        | what did the {item} say to the {item}? Nothing, they're not speaking
        | I've a joke about {food} but it's too cheesy
        | parallel lines have so much in common, shame they'll never meet
        | my bed and I love each other but the alarm clock is jealous
        | I'm on a seafood diet, I see {food} and remember I can't swim
    """,
    "ham_apology": """
        sorry, {reason}
        | sorry I'm late, {reason}
        | sorry for {sorryfor}
        | I'm sorry about {sorryfor}
        | didn't call because {reason}
        | couldn't come, {reason}
        | forgive me for {sorryfor}?
        | please tell {name} I'm sorry for {sorryfor}
        | my fault, {reason}
    """,
    "sorryfor": """
        shouting {past_when} | the mess | not calling | breaking the {item} | forgetting the {event}
        | eating your {food} | being {feeling} | the noise | waking you | losing your {item}
        | missing the {event} | the mix up with the {item} | laughing at your {item} | leaving early
        | what I said about {name}
    """,
    "ham_opener": """
        hey | hi | hey {pet_name} | hi {name} | oi | yo | morning | ok | ok so | well
        | hello {pet_name} | {name} | aww | hmm | oh | btw | listen | wow | oops | ah | yeah | yes
        | no | sorry | right | thanks | hiya | ugh | damn | finally | cheers | evening | nah | yep
        | haha | {pet_name}
    """,
    "ham_closer": """
        see you {when} | call me | text me back | love you | take care | talk later | xx | lol
        | let me know | see you soon | thanks | bye | miss you | x | :) | haha | ok? | good night
        | no rush | can't wait | don't be late | cheers | ring me when you get this | kisses | :-)
        | what do you think? | hope you're well | drive safely | good luck | sleep well
        | have a good one | tell {name} hi | don't worry | love from {kin} | anyway
        | say hi to {kin} | xxx | right? | your turn | and you? | 😊 | ttyl
    """,
    # The most used answers come first: the engine favours the head of this list
    "stock_answer": """
        Sorry, can't talk now, back soon | Ok then | Ok | Will ring you in a bit | Yup | On my way
        | Ok not a problem | Busy now, text me | Fine by me | Home now | Good night all | K
        | Yes please | Not yet | Where r u? | In a meeting, text instead | Thanks hun | Lol ok
        | Happy new year to you too! | Haha yes | What time? | Can't hear you, send a text
        | Yeah sure | Nope | Done | See u there | 5 mins | Love you too x | Okie dokie
        | No worries mate | Still in bed | Thanx a lot | Same here | Driving, talk after
        | Got it, ta | Hmm | Oh no | At work, u? | Leaving now | Me too | Miss you too
        | Ok i'll wait | Almost there | Who's this? | Really? | Why not | Maybe later | You too!
        | Ask mum | Reached | Wait for me | Sounds good to me | Cool, cu later | Dunno yet
        | Congrats!! | Sure thing | Ok good | Have you eaten? | Just woke up | Nothing much, you?
        | I'm outside | Both | Tmr can? | Get well soon x | Anything is fine lah
        | Good luck for today! | Wat's up | Call u after dinner | Sweet dreams x | So sorry! | No
        | Yes | Good morning! Have a lovely day | Hope you get home safe
    """,
    # Spam building blocks: made-up brands, fictional numbers, reserved addresses
    "mobile": "07700 900{N}{N}{N} | 07700900{N}{N}{N}",
    "premium": "0909 879 0{N}{N}{N} | 09098790{N}{N}{N} | 0909 8790{N}{N}{N}",
    "freephone": "08081 570{N}{N}{N} | 08081570{N}{N}{N}",
    "landline": "020 7946 0{N}{N}{N} | 02079460{N}{N}{N} | 03069 990{N}{N}{N}",
    "short": "40{N}{N}{N}",
    "code": "{L}{L}{N}{N} | {L}{N}{N}{N} | {N}{N}{N}{N} | {L}{L}{L}{N}",
    "and": "and | and | & | &amp; | +",
    "price": "25p | 50p | 60p | 75p | £1 | £1.50 | £1.50 | £2 | £3 | £4.50 | 150p | 10p",
    "cash": """
        £{K}00 | £{K}50 | £{K}000 | £{K},000 | £{K}0,000 | {K}00 pounds | £{K}00 cash | £{K}{N}{N}
        | £{K}000 cash
    """,
    "smallcash": "£{K}.99 | £{K}.45 | {K}.99 | {K}.49 | £{K}{N} | {K}.20",
    "promo_brand": """
        Zapline | PrizeNest | LuckyHarbour | CashOtter | QuidPool | Moblix | GoldKettle | TopDraw
        | JollyPot | WinWagon | Bonanzo | StarTicket | Dripdrop Promotions | Maxilotto
    """,
    "tone_brand": """
        Tonefox | RingJar | Bleepster | PolyPop | Humbox | Jinglet | Beatparcel | Chimezone
    """,
    "date_brand": """
        Heartlane | Flirtwell | Wink Avenue | Duskchat | Emberroom | Two Spoons Dating | Blushline
    """,
    "net_brand": """
        Orbivox | Fennel Mobile | Skylark Telecom | Pebblenet | Hexaphone | Tangent Mobile
    """,
    "loan_brand": "Bridgepenny | Loanlark | FastFlorin | Paydaylark | Copperline Credit | Debtmelt",
    "bank": """
        Norwell Bank | Larkbank | Eastmoor Building Society | Castlegate Bank | First Fennel
        | Harbour Mutual
    """,
    "courier": """
        Parcelhop | Swiftcrate | Doorstep Express | Heron Post | Brightvan | Hedgehog Couriers
    """,
    "site": """
        www.{sitename}.example | www.{sitename}{N}{N}.example | http://{sitename}.example/{L}{N}{N}
    """,
    "sitename": """
        zapline | prizenest | luckyharbour | cashotter | tonefox | ringjar | heartlane | flirtwell
        | orbivox-offers | loanlark | verify-norwell | larkbank-secure | parcelhop-fee
        | swiftcrate-redelivery | claim-4u | bonusgate | quickdosh | mobi-gifts | winwagon
    """,
    "reward": """
        a luxury holiday for two | a city break in {town} | a {cash} shopping voucher | {cash}
        | {cash} | a colour camera phone | a widescreen television | a games console
        | a tablet computer | a spa weekend | two concert tickets | a year of free groceries
        | a mountain bike | a digital camera | a sports car | a music player | 4 cinema tickets
        | a hamper worth {cash} | a cruise for two | a cottage weekend
    """,
    "network_user": """
        valued customer | loyal {net_brand} customer | lucky subscriber | dear customer
        | mobile user | dear winner | account holder | dear {net_brand} user
    """,
    "alarm": """
        URGENT! | URGENT | WINNER! | Congratulations! | CONGRATS! | Final notice!
        | Important message. | Good news! | ATTENTION: | 2nd attempt! | Last chance! | FREE MSG:
        | ** {promo_brand} ** | Private! | {promo_brand}: | Hello! | HURRAY! | Act now!
        | Todays draw: | Customer notice: | Awaiting collection:
    """,
    "prize_claim": """
        your number ending {N}{N}{N} has been drawn for {reward}
        | you have won {reward} in our {weekday} draw | your mobile was picked to receive {reward}
        | {reward} is guaranteed to be yours | as a {network_user} you are owed {reward}
        | our records show {reward} is still unclaimed in your name
        | we tried to reach you about {reward} | your ticket {code} matched and you get {reward}
        | you have been shortlisted for {reward} | {reward} could be yours today
        | a computer has selected you for {reward}
        | {month} jackpot: you are today's finalist for {reward}
        | your bonus points are worth {reward} | you came second and still take home {reward}
    """,
    "claim_how": """
        Call {premium} now | To claim call {premium} | Text CLAIM to {short} | Txt {code} to {short}
        | Ring {landline} and quote {code} | Collect at {site} | Reply YES to {short}
        | Send your postcode to {short} | Phone our prize line {premium} before {weekday}
        | Claim code {code}, dial {premium} | Visit {site} {and} enter {code}
        | Call from a landline {premium}
    """,
    "smallprint": """
        Cost {price}/min. | {price} per msg, 18+ | T&Cs at {site}
        | Calls {price}/min from landlines. 18+ only | Std txt rate applies | Valid {K}{N}hrs only.
        | Text STOP to end | box{N}{N}{N} {town} | Max {K} mins. | Offer ends {weekday}
        | {price}/wk until you send STOP | Network rates vary. | Over 18s only. Ts{and}Cs apply
        | unsubscribe at {site} | ref {code}
    """,
    # Spam campaigns, by trade
    "spam_prize": """
        {alarm} {prize_claim}! {claim_how}. {smallprint} {smallprint}
        | {alarm} {prize_claim}. {claim_how}! {smallprint} {smallprint}
        | {prize_claim}! {claim_how}. {smallprint} {smallprint}
        | {alarm} Not a joke: {prize_claim}. {claim_how}. {smallprint}
        | {alarm} A sure {cash} prize has your name on it! Ring {premium} today to make it yours.
            Quote code {code}. {price}/min, 18+. {smallprint}
        | Win {cash} every week! Text LUCKY to {short} for your first free entry. Then {price}/wk.
            Txt STOP to quit. {promo_brand}
        | Our {month} draw is over and nobody has claimed {reward}. It passes to you! {claim_how}.
            {smallprint}
        | Dear {network_user}, this is our {K}th try to contact you. {reward} is waiting.
            {claim_how}. {smallprint}
        | Quiz time! Which {animal} can fly, A) {animal} B) pigeon? Txt A or B to {short} and win
            {reward}! {price}/msg 16+
        | Scratch {and} win by phone! {reward} for the first {K}00 callers. {claim_how}.
            {smallprint}
        | Spin the wheel with {promo_brand}: {reward}, {cash} or {reward}. {claim_how}. {smallprint}
    """,
    "spam_twins": """
        LuckyHarbour: your entry no {N}{N}{N}{N}{N} has won! Call 0909 879 0{N}{N}{N} to hear what
            you have won. Calls £1.50 per minute, 18+. Lines close at {K}pm tonight, so do not miss
            it
        | FREE ringtone this week only! Send TONE to 40{N}{N}{N} to get it. First tone free, then
            £3.00 per week until you text STOP to the same number. Tonefox
        | Someone who knows you has left you a voice message. To listen or to answer dial 0909 879
            0{N}{N}{N}. Calls cost {K}0p a minute from a landline. Duskchat
        | Dear customer, a cash award of £{K}000 is held for you. Ring 0909 879 0{N}{N}{N} from your
            landline now. Quote {N}{N}{N}{N}. The offer ends in 24 hrs, 18+
        | Parcelhop: we could not deliver item {N}{N}{N}{N}{N}{N}. Pay the fee of £{K}.99 at
            www.parcelhop-fee.example to book a new date. It goes back in 3 days
        | You owe nothing until spring! Borrow £{K}00 in {K}0 minutes. No checks, bad credit fine.
            Text LOAN to 40{N}{N}{N}, STOP to end. Loanlark
        | Your {K} free minutes of live chat are ready. Local singles online. Call 0909 879
            0{N}{N}{N} now to pick up where you left. 18+ £1.50/min. Heartlane
    """,
    "spam_ringtone": """
        {tonehook} Text {code} to {short} {and} get it in seconds. {smallprint} {smallprint}
            {tone_brand}
        | {tonehook} Reply TONE to {short}. First one free, then {price} each. {tone_brand}.
            {smallprint} {smallprint}
        | {tone_brand}: {tonehook} Order code {code} on {short} or at {site}. {smallprint}
            {smallprint}
        | New this week at {tone_brand}: {tonekind}, {tonekind} {and} {tonekind}. Txt {code} to
            {short}. {price} each, help {landline}
        | Get {K} {tonekind} for the price of one! Send MORE to {short}. {smallprint} {tone_brand}
        | Ur phone sounds old! Swap it 4 {tonekind} or {tonekind}. Txt {code} to {short} now.
            {smallprint} {smallprint}
    """,
    "tonehook": """
        The number one {tonekind} of the summer! | Make your mobile bark like a {animal}!
        | Your friends have {tonekind}, why don't you?
        | Free {tonekind} for every {net_brand} phone! | Wake up to {tonekind}!
        | Jazz up ur phone with {tonekind}! | Hear the stadium roar each time it rings: {tonekind}!
        | {weekday} special: {tonekind}!
    """,
    "tonekind": """
        polyphonic tones | real music tones | colour wallpapers | animated logos
        | funny voicemail greetings | football chants | java games | cartoon screensavers
        | disco ringtones | film themes | {animal} noises | country hits
    """,
    "spam_dating": """
        {datehook} {datecall} {smallprint} {smallprint}
        | {date_brand}: {datehook} {datehook} {datecall} {smallprint}
        | {datehook} {datecall} {date_brand}, {smallprint} {smallprint}
        | Hi, {name} here from {date_brand}. {datehook} {datecall} {smallprint} {smallprint}
    """,
    "datehook": """
        Somebody in {town} likes the look of you! | A secret admirer has left u a note.
        | {K}{N} singles near you want to chat tonight. | U have {K} new matches waiting.
        | Bored on a {weekday}? Meet real people near {town}. | Guess who likes you?
        | Your photo got {K}{N} winks today! | I'm {name}, new in town and looking 4 fun.
        | Don't spend {weekday} alone. | A lady of {K}{N} in {town} picked your profile.
        | Someone you know asked us to find out if you're single! | Flirt by text with locals.
    """,
    "datecall": """
        Call {premium} to hear the name. | Text CHAT to {short} to start.
        | Reply with ur name {and} age to {short}. | See pics at {site}.
        | Dial {premium} and listen. | Txt MEET to {short} now.
        | Text back the word {name} to {short}.
    """,
    "spam_loan": """
        {loanhook} {loancall} {loansmall} {loansmall}
        | {loan_brand}: {loanhook} {loanhook} {loancall} {loansmall}
        | {loanhook} {loancall} {loan_brand}. {loansmall} {loansmall}
    """,
    "loanhook": """
        Need {cash} before payday? | Bills piling up? We clear your debts with one easy payment.
        | Bad credit? No problem, borrow up to {cash}. | You are pre-approved for {cash}!
        | Get {cash} in your account within {K}{N} mins.
        | Owed money for an accident in the last {K} years? You may be due {cash}.
        | Mis-sold insurance? Our team recovered {cash} for people like you.
        | The government has changed the rules and you can write off {K}{N}% of what you owe.
        | Consolidate now, first payment {month}.
    """,
    "loancall": """
        Text YES to {short}. | Apply at {site}. | Call free on {freephone}.
        | Reply LOAN for a call back. | Send your name to {mobile}. | Ring {landline} today.
        | Txt DEBT to {short} or go to {site}.
    """,
    "loansmall": """
        {K}{N}{N}% APR. | No guarantor. | Not for u? Reply STOP. | Homeowners welcome.
        | Terms apply. | Lines open till {K}pm. | Rates from {K}.{N}%. | STOP to {short} to end
    """,
    "spam_account": """
        {bank}: {bankscare} {bankdo} {bankend}
        | {bank} ALERT: {bankscare} {bankdo} Ref {code} {bankend}
        | Dear {network_user}, {bankscare} {bankdo} {bankend}
        | {net_brand}: {netscare} {netdo} {smallprint}
        | {net_brand} notice {code}: {netscare} {netdo} {smallprint}
    """,
    "bankscare": """
        your online access has been suspended.
        | a payment of {smallcash} to {name} was attempted from a new device.
        | we noticed unusual activity on your card.
        | a new payee was added to your account on {weekday}. | your security details expire today.
        | your account is locked after {K} failed logins. | a transfer of {cash} is pending.
    """,
    "bankdo": """
        If this was NOT you, confirm at {site} | Restore it at {site} within {K}{N} hrs.
        | Verify your details: {site} | Call our fraud team on {premium} immediately.
        | Cancel it here: {site} | Log in at {site} to avoid charges.
    """,
    "bankend": """
        Ignoring this message may close your account. | Do it today to keep your money safe.
        | This is an automatic message, do not reply. | Your case number is {code}{N}{N}.
        | Customers who do not act will be charged {smallcash}. | Protecting you since {N}{N}{N}{N}.
    """,
    "netscare": """
        your last bill could not be paid. | your sim will be switched off on {weekday}.
        | your refund of {smallcash} is ready. | you were charged twice in {month}.
        | your contract has run out. | your voicemail is full and {K} messages will be deleted.
    """,
    "netdo": """
        Update your card at {site} | Claim it at {site} | Ring {premium} to keep your number.
        | Reply with your pin to {short} | Confirm now: {site}
    """,
    "spam_parcel": """
        {courier}: {parcelscare} {parceldo} {parcelend}
        | {courier} delivery {code}: {parcelscare} {parceldo} {parcelend}
        | {parcelscare} {parceldo} {courier}, ref {code} {parcelend}
    """,
    "parcelend": """
        After {K} days it goes back to the sender. | Storage costs {smallcash} a day.
        | Have your parcel number {code}{N}{N} ready. | Unpaid items are destroyed after {weekday}.
        | The driver is near you today. | Help: {landline}
    """,
    "parcelscare": """
        Your parcel is held at our depot, {smallcash} customs due. | We missed you {weekday}.
        | Delivery failed, the address is incomplete.
        | Your item is over weight and needs {smallcash} extra postage.
        | A package for you was returned to {town}. | Last attempt to deliver your order tomorrow.
    """,
    "parceldo": """
        Pay at {site} to release it. | Rebook for {smallcash}: {site}
        | Settle the fee within {K}{N}h at {site} | Call {premium} to arrange a new slot.
        | Confirm your card at {site} | Track it: {site}
    """,
    "spam_subscription": """
        {subthanks} {subterms} {subterms}
        | {subthanks} {subterms} {smallprint} {smallprint}
        | FreeMsg: {subthanks} {subterms} {smallprint}
    """,
    "subthanks": """
        Thanks for joining {tone_brand} Club. | You are now subscribed to {promo_brand} alerts.
        | Your {date_brand} membership is active. | Welcome to {tone_brand} Gold!
        | Ur {promo_brand} purse has been filled again.
        | Your free trial of {net_brand} Horoscopes has begun.
        | You've been added to the {promo_brand} VIP list.
    """,
    "subterms": """
        You will receive {K} msgs per week at {price} each. To leave text STOP to {short}
        | {price} a day is taken from your credit. Send END to {short} to cancel.
        | To confirm reply OK to {short}. | Download your content at {site}, pin {code}.
        | Helpline {landline}. | Your password is {code}, go to {site}
        | Enjoy {K} free {tonekind} then {price}/wk.
    """,
    "spam_upgrade": """
        {upgradehook} {upgradecall} {smallprint} {smallprint}
        | {net_brand}: {upgradehook} {upgradehook} {upgradecall} {smallprint}
        | Dear {network_user}, {upgradehook} {upgradecall} {smallprint} {smallprint}
    """,
    "upgradehook": """
        Had your phone over {K} months? You can have the latest camera model for nothing.
        | Half price line rental {and} {K}00 free mins every month!
        | Double minutes, double texts, same old bill. | Free handset with free delivery tomorrow.
        | Unlimited weekend calls from {smallcash} a month. | Your old mobile is worth {cash} to us.
        | Free bluetooth headset for {net_brand} users who renew by {weekday}.
    """,
    "upgradecall": """
        Call {freephone}. | Reply UPGRADE or ring {freephone}. | Txt YES to {short} for a callback.
        | Order at {site} | Speak to our team on {landline} now. | Text PHONE to {short}
    """,
    "spam_chain": """
        Horoscope: {starsign}, {staromen}. Hear more on {premium}, {price}/min. {smallprint}
            {smallprint}
        | {starsign}! {staromen} this {weekday}. Text {starsign} to {short} for your full reading.
            {price}/msg. {smallprint} {smallprint}
        | Psychic {name} has seen {reward} in your future. Call {premium} before the moon changes.
            {smallprint}
        | Slim for {month}! Lose {K} kilos in {K} weeks with herbal drops. Only {smallcash}. Order
            at {site} or call {freephone}. STOP to {short}
        | Vote for {name} in tonight's final! Txt {name} to {short} {and} you could win {reward}.
            {price} per vote. 16+
        | Survey by {promo_brand}: answer {K} questions {and} get {cash} in vouchers. Start at
            {site} or reply GO to {short}. {smallprint}
        | Earn {cash} a week from home stuffing envelopes. No skills needed. Send SAE or call
            {premium}. {smallprint}
        | Club {tone_brand} this {weekday}: free entry b4 {K}{K}pm {and} 2 for 1 drinks with this
            text. Guest list txt {code} to {short}. {price}
    """,
    "starsign": """
        Aries | Taurus | Gemini | Cancer | Leo | Virgo | Libra | Scorpio | Sagittarius | Capricorn
        | Aquarius | Pisces
    """,
    "staromen": """
        a stranger brings money | an old flame returns with news | your lucky number is {K}
        | a journey will change everything | someone close hides a secret | love knocks twice
        | fortune favours you
    """,
    # Shared openings of the hard messages: a reader must see the rest to judge them
    "greet": """
        Hi | Hello | Hey | Hi there | Good morning | Hello dear | Hi {name} | Hey {name}
        | Good evening | Hi, {name} here | Hey it's {name} | Hi mum | Hi dad | Hello, this is {name}
        | Hi it's me | {name} here
    """,
    "firm": """
        Brook and Fern | Tidewell Dental | Orchard Vets | Hill Street Surgery | Marlow Opticians
        | Pine Road Library | Ashby Garage | Bluebell Nursery | Kestrel Gym | Northgate Salon
        | Willow Books | Saddler's Café | Copper Kettle Hotel | Riverside College | Lantern Cinema
        | Quayside Ferries | {bank} | {net_brand} | {courier}
    """,
    "stem_newphone": """
        {greet}, this is my new number.
        | {greet}, my new number is {mobile}.
        | {greet}, my phone fell in the sink so use this number from now on.
        | {greet}, I lost my phone, texting from a new one.
        | {greet}, my old number doesn't work any more.
        | {greet}, got a new sim, delete the old number.
        | {greet}, screen is smashed, I borrowed this phone.
    """,
    "stem_email": """
        {greet}, did you get the email I sent about {emailabout}?
        | {greet}, you haven't answered my email about {emailabout}.
        | {greet}, checking you saw the email about {emailabout}.
        | {greet}, I sent you an email {past_when} about {emailabout}.
        | {greet}, have a look at the email about {emailabout}.
    """,
    "emailabout": """
        your refund | the refund | your application | the deposit | your order | the tickets
        | the job | the insurance | your invoice | the tax form | the holiday | your payment
    """,
    "stem_account": """
        {bank}: {accountevent}.
        | {accountevent}. {bank}.
        | Message from {bank}: {accountevent}.
        | Hello from {bank}, {accountevent}.
    """,
    "accountevent": """
        your new card is on its way | a direct debit of {amount} was set up on {weekday}
        | you have made a payment of {amount} to {name} | your statement is ready
        | your balance fell below {amount} | we have changed your daily limit
        | a cash withdrawal of {amount} was made in {town}
        | your card was used for a payment of {amount} at {firm} | we have received your application
        | your payment to {name} is on hold
    """,
    "amount": """
        {K}{N} | {K}0.00 | {K}{N}{N} | {K}.99 | {K}00 | {K}5 euros | {K}0 pounds | {K}{N}.50
    """,
    "stem_parcel": """
        {courier}: {parcelevent}.
        | {greet}, {parcelevent}.
        | {parcelevent}. {courier}.
        | Your order from {firm}: {parcelevent}.
    """,
    "parcelevent": """
        your parcel is out for delivery | your parcel could not be left at the door
        | we tried to deliver your parcel {past_when}
        | your parcel has arrived at our depot in {town}
        | your driver {name} called but nobody was in | the {item} you ordered is ready
        | your parcel was damaged on the way | your delivery is booked for {weekday}
    """,
    "stem_firm": """
        {firm}: {firmevent}.
        | Reminder from {firm}: {firmevent}.
        | {greet}, this is {firm}. {firmevent}.
        | {firmevent}. {firm}.
        | Dear customer, {firmevent}. {firm}.
    """,
    "firmevent": """
        your appointment is on {weekday} at {clock} | your order is ready
        | your membership runs out on {weekday} | we have not seen you for a while
        | your points are worth {amount} | you left something in your basket
        | your name is on our list for {weekday} | your gift card of {amount} is waiting
        | your {item} is ready to collect | you have one free visit left
        | your booking is confirmed for {weekday} | there is a prize for you at the desk
    """,
    "stem_prize": """
        {greet}, remember the draw at {place}? Your name came out.
        | {greet}, they read out your number at the {event}.
        | {greet}, you won the {item} at the {event}.
        | {greet}, good news about the competition, you came first.
        | {greet}, about the raffle {past_when}, you won {amount}.
        | {greet}, your ticket won at the {event}.
    """,
    "stem_cash": """
        {greet}, do you need cash before {weekday}?
        | {greet}, are you short of money this month?
        | {greet}, I can help you with the {amount} you need.
        | {greet}, about the money.
        | {greet}, about the loan we talked about.
        | {greet}, I know things are tight since {month}.
        | {greet}, {name} told me you need {amount}.
    """,
    "stem_job": """
        {greet}, are you still looking for work?
        | {greet}, we have read your cv.
        | {greet}, {name} gave me your number about the {job} job.
        | {greet}, there is a place for a {job} in our team.
        | {greet}, thank you for your application.
        | {greet}, I'm hiring a {job} from {month}.
    """,
    "stem_lonely": """
        {greet}, I saw your photo {past_when}.
        | {greet}, I keep thinking about you.
        | {greet}, are you free tonight?
        | {greet}, you have a beautiful smile.
        | {greet}, I'm {feeling} and alone tonight.
        | {greet}, I found your number in my {item}.
        | {greet}, we met at {place} {past_when}, remember me?
        | {greet}, how are you? it's been a long time.
        | {greet}, I just moved to {town}.
    """,
    "stem_wrong": """
        {greet}, is this {name} from the {hobby} club?
        | {greet}, are we still meeting at {place} {when}?
        | {greet}, thank you for the {item}.
        | {greet}, is your {animal} better now?
        | {greet}, I'm at {place}, where are you?
        | {greet}, sorry I missed your call.
    """,
    "stem_savings": """
        {greet}, how are your savings doing?
        | {greet}, {name} made {amount} last month.
        | {greet}, {kin} put {amount} into shares.
        | {greet}, you asked me how I paid for the {item}.
        | {greet}, I doubled my savings since {month}.
        | {greet}, have you got any money put by?
    """,
    "hard_closer": """
        Let me know {when}
        | Thank you, {name}
        | Have a nice day
        | Sorry for the trouble
        | As soon as you can please
        | Hope {kin} is well
        | I'm {doing} so text is best
        | Don't worry
        | Sent {past_when} too, not sure you got it
        | I'd call but {reason}
        | Thanks for your help, you're a star
        | It won't take long
        | I'm {feeling} about it
        | It has to be before {weekday}
        | Speak {when}
        | I asked {name} as well
        | No need to call
        | Please be quick
    """,
    # Hard ham: honest messages that look like spam
    "hard_ham_newphone": "{stem_newphone} {newphone_ham}",
    "newphone_ham": """
        Save it and tell {kin} please
        | See you at {place} {when} as planned
        | Ring me on it {when}, I want to hear your voice first
        | Can you send me {name}'s number again?
        | Still on for {hobby} {when}?
        | I'll bring your {item} {when}
        | The shop is fixing the old one, all photos gone
        | Nothing urgent, just so you have it
        | Mum says dinner is at {clock}
        | Don't worry, it was insured
        | I'll pay you back for {food} when I see you
        | {name} bought it for me, so nice
        | I need to pay {name} for the {item}, can you text me their number?
        | Don't send money to the old one, some stranger has it now
        | If anybody asks you for {amount} in my name it isn't me, ring me
        | The bank has it already, so only you and {kin} are left
        | Could you read me the code on the gate?
        | I still owe you {amount}, I'll give it to {kin} {when}
        | The card for {name} is on your desk, please sign it
    """,
    "hard_ham_email": "{stem_email} {email_ham}",
    "email_ham": """
        It's in the folder you share with {name}
        | No need to reply, it's all paid
        | The hotel gave it all back, your half is {amount}
        | I think I sent it to your old address
        | {name} wants to talk about it at lunch
        | We can look at it together {when}
        | Print it for {kin} please
        | I forgot to attach the picture of the {item}
        | You were right, they did owe us {amount}
        | They say it takes {few} weeks, so just wait
        | Call me when you're home and I'll explain
        | Reply to all please, {name} needs to see your answer
        | They need your full name for the {event}, as in your passport
        | I typed your card number wrong, so it didn't go through and we pay at the desk
        | If you get a text about it too, don't answer, that one isn't from us
        | It closes tonight, so press send after {food}
        | Just say yes so I can tell {name}
        | The fee is {amount} but work is paying
    """,
    "hard_ham_account": "{stem_account} {account_ham}",
    "account_ham": """
        If you made it you don't need to do anything
        | We will never ask you for your pin or your code
        | Thank you for telling us in the branch
        | It will reach you in {few} working days
        | You can see it the next time you log in to your app
        | Your code is {N}{N}{N}{N}{N}{N}, don't share it with anyone, not even our staff
        | Not you? Use the number on the back of your card
        | You asked for this message, change it in your settings
        | No action is needed
        | We'll write to you by post
        | If you didn't ask for it, come in and bring your card
        | Please don't reply, nobody reads this number
        | A letter with your new pin follows by post, keep the two apart
        | Nobody from here will ever send a driver for your card
        | Your code for the till is {N}{N}{N}{N}, it ends in {few} minutes
        | It was refused because the date on your card was wrong
        | Move money in before {weekday} to avoid a fee
    """,
    "hard_ham_parcel": "{stem_parcel} {parcel_ham}",
    "parcel_ham": """
        We left it with your neighbour at number {K}{N}
        | Nothing to pay, please show some id
        | It was in the porch behind the {item}, I took it in for you
        | We will bring it back {weekday} between {K} and {clock}
        | Show this text and code {N}{N}{N}{N} at the counter
        | It's for {kin}, don't open it
        | I signed for it, come round {when}
        | We'll send you a new one free of charge, you can keep the broken one
        | The driver will be with you at {clock}
        | Is it the {item} from {kin}?
        | It wouldn't fit, so the driver has your card in the box by the door
        | You already paid for the postage, so just sign
        | The code for the locker is {N}{N}{N}{N}, it opens till {weekday}
        | Reply {K} if you want it left with {name}
        | {name} paid the customs, give it back when you can
        | Please have your card ready if you want to buy stamps too
        | Your address was fine, the dog was not
    """,
    "hard_ham_firm": "{stem_firm} {firm_ham}",
    "firm_ham": """
        Please come {many} minutes early
        | Reply C if you can't make it
        | If you can't come tell the desk so somebody else can have it
        | We close at {clock} today
        | It costs {amount} as agreed, card or cash
        | Pick it up when it suits you, we're open till {clock}
        | Ask for {name} at the desk
        | Please bring your {item}
        | Sorry, {name} is off with {ill} so it'll be {clock} instead
        | See you then, {name}
        | Thank you for coming in {past_when}
        | You have until {month}, no hurry
        | Reply YES to come, or NO and we'll give it to the next person
        | Text us back if the {item} should be gift wrapped
        | Bring the card you paid with if you want a refund
        | We charge {amount} if you miss it without telling us
        | No need to pay again, {name} did it {past_when}
        | We have your date of birth wrong, please correct it at the desk
        | This one is on us, because you waited so long {past_when}
    """,
    "hard_ham_prize": "{stem_prize} {prize_ham}",
    "prize_ham": """
        I've got it here, come round {when}
        | {kin} nearly fell off the chair
        | It's only {grocery} but you won
        | They gave it to {name} to bring to you
        | Drinks on you {when}
        | We all clapped, where were you?
        | It's behind the bar at {place}, say {name} sent you
        | I told them you'd want the {food} instead
        | Call me, I want to hear you cheer
        | Half of it is mine, I bought the ticket
        | Shame you were {doing}
        | You have to show your ticket and they pay it out in cash
        | Text {name} your address, they post it for nothing
        | They want your full name for the cup
        | The judge says you can claim it till {weekday}
        | I paid the tax on it with a biscuit
        | Reply quick, {kin} wants to swap it for the {item}
        | Free {drink} for a year, can you believe it?
    """,
    "hard_ham_cash": "{stem_cash} {cash_ham}",
    "cash_ham": """
        I can bring it round {when}
        | You still owe me for the {item} so we're even
        | Don't take a loan, I'll ask {kin}
        | I left {amount} in the {item} for you
        | Pay me back when you can
        | It's yours, happy birthday
        | Just ask {kin}, they always help
        | I'll transfer it after work, same account as last time
        | You paid for {town}, so this is my turn
        | Cash is fine, I'm at {place} till {clock}
        | No more until you pay me for {food}
        | I need your account number again, I deleted it
        | Text me the sum and I'll bring it in an envelope
        | Everyone at work put something in, no strings
        | Say yes, you can't sleep in the car
        | Don't sign with that lender, he takes double
        | My bank says yes, so we can buy the flat together
        | {name} knows a man at the bank, honest one, goes through the papers with you
    """,
    "hard_ham_job": "{stem_job} {job_ham}",
    "job_ham": """
        Come in for a chat on {weekday} at {clock}, ask for {name}
        | The interview is at our office on {street}, bring your papers
        | I'm sorry to say we chose someone else this time
        | It's only weekends and the pay is low, but the people are kind
        | They want someone at {place}, I told them you're good
        | Your trial shift is {weekday}, wear {clothes}
        | Can you start on {weekday}? Same rota as before
        | We'll write by post before the end of {month}
        | {name} is leaving so ask the manager {when}
        | Please bring your passport and a photo when you come in, we have to check it
        | We pay {amount} a day and lunch, and it's hard work
        | The training is free and you keep the uniform
        | You don't need skills for it, only boots
        | Reply yes if you can do {weekday}s too
        | Your bank details go to {name} in wages on your first day
        | They pay {amount} less than the old place but I'm home for dinner
    """,
    "hard_ham_lonely": "{stem_lonely} {lonely_ham}",
    "lonely_ham": """
        Let's get {food} with {name} like we used to
        | You left your {item} here by the way
        | Fancy {drink} after {hobby}?
        | Kids are at {kin}'s so we have the house
        | That {item} suits you, it's {adj}
        | Come home soon
        | Mum still has it on the fridge
        | You were {doing} behind {name}
        | Shall I book the table for {clock}?
        | I told {kin} about us
        | The new flat is {adj}, come for {food}
        | Did you get home ok after the {event}?
        | Send me more pictures of the {animal}
        | You don't know how much I needed that {event}
        | I'm working abroad till {month}, then I'm all yours
        | Who is the widow next to {name}?
        | My visa came, so I'm really coming {when}
        | Write back when {hobby} is over
        | Where do you live now? {kin} wants to send you a card
    """,
    "hard_ham_wrong": "{stem_wrong} {wrong_ham}",
    "wrong_ham": """
        {name} said you had {ill}
        | I've been at the {colour} door since {clock}
        | I was {doing}
        | Bring {grocery} if you can
        | Sorry, wrong person, ignore me
        | Coach wants everybody there by {clock}
        | Tell {kin} I said hello
        | It goes with the {item} you gave us
        | I'll try you again {when}
        | Free parking behind {place} after {clock}
        | I don't know who you are but this number is on my list for {hobby}
        | Send me a picture of it, {name} wants one too
        | Who is this by the way? Your name isn't in my phone
        | My own firm can do it, I'll ask the {job}
        | Text me where you live and I'll bring the {item}
        | We're friends of {name}, we met at the {event}
    """,
    "hard_ham_savings": "{stem_savings} {savings_ham}",
    "savings_ham": """
        Keep yours in the bank, I say
        | Then lost it all on a {item}
        | Now the bank wants {amount} for nothing
        | We could rent that place on {street} together
        | I worked every weekend, that's how
        | Ask {kin} before you sign anything
        | It was a gift from {kin}
        | Enough for {town} in {month}?
        | Overtime and no {food} out, no other secret
        | I sold the {item} and my {item}
        | Sounds too good to be true if you ask me
        | I'd never put in {amount} on a tip from a stranger
        | Somebody in a chat group promised double, so I blocked them
        | No risk, no fun, but please not with {kin}'s money
        | My teacher used to say, first pay what you owe
        | Just the bank and {few} percent, slow but safe
        | Join us at the bank on {weekday}, they explain it for nothing
        | Put in for {name}'s {item} if you have
    """,
    "hard_ham_plain": """
        call me when you win, I want half the prize
        | text me the code for the gate, {name} is waiting outside
        | the tickets are free but you have to call {place} before {weekday}
        | {name} got a text saying {kin} won {amount}, I told them to delete it
        | don't answer if {bank} calls, it's someone pretending, {kin} nearly lost {amount}
        | we could win {amount} if {name} turns up for the {event}
        | free {food} at {place} today, hurry
        | can you claim the {item} back from work? it cost me {amount}
        | urgent! we need {grocery} and {grocery} before the guests come
        | the vet wants {amount} for the {animal}, can you pay and I'll give you cash {when}?
        | my offer still stands, {amount} for the {item} and I'll collect
        | I've subscribed {kin} to that {hobby} magazine, {amount} a year
        | please text yes or no for the {event}, I need to pay {place} by {weekday}
        | congratulations! you're an aunt, {K} pounds {K} and a lot of hair
        | your free trial is over, from now on you wash up yourself
        | last chance to come to the {event}, I'm paying by {weekday}
        | {name} wants {amount} for the {item}, I'd say {amount} at most
        | the {job} quoted {amount}, cash only, call him on your landline
        | I get {K}0% off at {firm} with my staff card, what do you need?
        | your library book about {town} is due {weekday}, fine is {price_ham} a day
    """,
    "price_ham": "20p | 10p | 15p | a little",
    # Hard spam: bait that reads like a friend's, or an honest firm's, message
    "hard_spam_newphone": "{stem_newphone} {newphone_spam}",
    "newphone_spam": """
        Could you pay a bill for me today? I'll give it back {when}
        | I can't get into my bank, can you send {amount} for the rent?
        | Message me here as soon as you see this, I need help with a payment
        | The bank has locked me out and I owe {name} {amount}, can you cover it?
        | Don't ring, the microphone is broken. I need {amount} by {clock}
        | Are you busy? I need you to buy gift cards for the {event} and text me the codes
        | You'll get a code in a minute, send it to me so I can log in
        | I need the number on your card to pay for the repair
        | Please don't tell {kin}, but I need {amount} sent to a friend
        | I'm in a bit of trouble and it must stay between us two
        | Are you alone? I don't want {kin} to hear about this
        | Can you do me a favour {when}? It's about {amount} and I'd rather not explain
        | I was going to pay the {job} but I'm stuck, would you do it for me?
        | My wages come {when}, so lend me {amount} till then and I'll say why after
    """,
    "hard_spam_email": "{stem_email} {email_spam}",
    "email_spam": """
        It closes tonight so reply with your date of birth and card
        | You only need to confirm the long number on your card
        | We can only hold {amount} for you until {clock}
        | Answer with your full name and bank and we'll send it
        | Your file is marked unclaimed, text us back to keep it
        | We need a photo of your passport and {amount} to release it
        | Please reply YES so our adviser can take your details
        | It is the last step, the fee is {amount}
        | Just send the code we texted you and it's done
        | We can put it through {when} if you tell us where you bank
        | My manager wants it off his desk, so send what he asked for and {amount} on top
        | You'd be silly to leave {amount} with us, just say who you are and where it should go
        | Open what I attached and type in what you use for the bank
        | Half of it is yours for a little help, my late client had no family
    """,
    "hard_spam_account": "{stem_account} {account_spam}",
    "account_spam": """
        Our adviser will ring you {when}, please have your code ready to read out
        | If it wasn't you, reply with your card number and we will cancel it
        | To be safe move your money to the account we made for you
        | Reply Y and your pin to keep your card
        | We will send a driver to pick up your card, put the pin in the envelope
        | Read the six digits back to our staff to stop it
        | You must answer today with your password or it will be closed
        | Reply with your mother's maiden name so that we can refund you
        | Don't speak to the branch about this, staff there are being watched
        | Stay on the line when we ring and do what {name} tells you
        | For your safety we'd like you to take out {amount} and hand it to our man
        | Let our engineer into your computer {when} and he'll put it right
        | Somebody at your branch is stealing, help us catch them and tell nobody
        | Open the app with us when {name} rings and press accept
        | You're due {amount}, only tell us who you are and what you use to log in
    """,
    "hard_spam_parcel": "{stem_parcel} {parcel_spam}",
    "parcel_spam": """
        Reply with your address and card so we can bring it {weekday}
        | A small fee of {amount} is due before we can bring it back
        | Answer with your bank and date of birth to prove it's yours
        | Have {amount} ready, the driver takes gift cards only
        | Pay {amount} {when} or it will be sold
        | Text us the code you are about to get and we will release it
        | Customs want {amount}, send it to the driver {name}
        | We need your card to hold it until {weekday}
        | {name} the driver wants something for his trouble before you see it
        | It will go back {when} unless you settle what the sender forgot
        | We weren't told who you are, so tell us where you live and where you bank
        | You never ordered it? Then help us send it back, {amount} and it's done
        | There was a mistake in the weight, put {amount} right and you'll have it {when}
    """,
    "hard_spam_firm": "{stem_firm} {firm_spam}",
    "firm_spam": """
        Reply C and your card number to keep it
        | Send {amount} today to hold it, it can't be given back
        | Tell us the name of your bank and your birthday to collect
        | Text back the long number on your card and we'll bring it round
        | To keep it you only pay {amount} a week from your phone credit
        | Reply YES, each message is charged to your bill
        | You have not claimed yet, answer with your full details by {clock}
        | Forward this to ten friends to collect yours
        | It is free, we only need a card for the postage
        | You only have to say yes, it goes on your phone bill until you say no
        | We keep it for you against a small sum by {when}
        | Bring in {few} friends and yours is on us for life
        | Someone else wants it, so tell us {when} how you'd like to be charged
        | You've been chosen out of {K}00, tell us who you bank with and it's yours
        | We had a fire and lost our papers, so send us what you pay with again
    """,
    "hard_spam_prize": "{stem_prize} {prize_spam}",
    "prize_spam": """
        Send me your address and {amount} for the postage
        | They only need your bank to pay it in, text it to me
        | Answer with your full name, birthday and card and it's yours
        | It can't be paid out until the tax of {amount} is sent
        | You don't remember entering, but our records say so
        | The judge will ring, give him the code you get by text
        | Be quick and tell nobody, the next name gets it at {clock}
        | Pay the release fee of {amount} and we'll bring it {weekday}
        | Text back YES to accept, {amount} a week goes on your bill
        | All that's left is the tax, then {name} brings it round
        | I'm so happy for you, tell me where you bank so they can pay it in
        | Mine came {past_when} after I had paid the little fee, so it's real
        | They've asked me to hold it until you have settled the {amount}
        | I've put you through to the last round, it costs you {amount} a week from here
        | You don't know me but I do the draws, we can share it
    """,
    "hard_spam_cash": "{stem_cash} {cash_spam}",
    "cash_spam": """
        My friend lends to anybody, no papers, just your card and pin
        | We lend up to {amount}, answer with your name and wage
        | Nobody checks your past here, pay only the first fee of {amount}
        | Reply and a man called {name} brings it to your door, you pay double by {month}
        | Let us use your account for a week and keep {amount}
        | I know a lender who never says no, text me YES
        | You can have it today if you send {amount} to open the file
        | Everyone gets a yes from us, homeowner or not
        | We wipe out what you owe for a small fee, just reply
        | You can have {amount} {when} and nobody asks why
        | There is always a way, I know somebody who says yes to all
        | Bank said no? We don't, and it's in your hand {when}
        | Let {amount} rest with you for a week, keep some and pass the rest on
        | You'd pay a little first, then all your worries are gone
        | I've helped {many} people like you, only say how much
    """,
    "hard_spam_job": "{stem_job} {job_spam}",
    "job_spam": """
        Work from your sofa and earn {amount} a day, no skills, just reply
        | You only like videos on your phone and we pay {amount} a day
        | Pay {amount} for the training pack and start {when}
        | We send money to your account, you pass it on and keep a share
        | No interview, send a photo of your passport and your bank
        | Be your own boss, bring in {few} friends and they pay you
        | It's easy, you buy gift cards and we pay you back double
        | Text YES and I'll show you how I earn {amount} before breakfast
        | The uniform is {amount}, send it today to keep your place
        | You can do it in bed, {name} made {amount} {past_when} and can't even spell
        | You take in parcels at home and send them on, that's all
        | No boss, no hours, and you only pay for the first box
        | All you do is let money rest in your account for a day
        | We don't need to meet you, say when you can start and where you bank
        | It was {amount} a week for {kin}, now they have {few} people under them
    """,
    "hard_spam_lonely": "{stem_lonely} {lonely_spam}",
    "lonely_spam": """
        I think we were meant to meet, write me and I'll send more pictures
        | I'm a {job} working abroad and I look for an honest person to love
        | You don't know me yet but I feel I know you
        | Text me on my private chat, I don't like it here
        | Don't be shy, tell me your age and where you live
        | My visa costs {amount}, help me and we will be together
        | I pay for the talks on this line but you're worth it, answer me
        | There is a little charge for each reply but I'm real
        | A widow of {many} with a good heart, please write back
        | I dream of you but my phone credit is gone, can you top it up?
        | My late husband left gold and I need a partner I can trust
        | I never do this, but something in you is so gentle. Tell me about your life
        | I'm far away on a ship till {month} and there's nobody to talk to
        | Are you married? I hope not. I cook, I sing, and I'm looking
        | I'd come to you {when} if I had the fare
        | Other girls only want money, you are different, I can tell
        | I have so much to give and no one to give it to, will you be mine?
        | God has put you in my way, I'm sure of it
    """,
    "hard_spam_wrong": "{stem_wrong} {wrong_spam}",
    "wrong_spam": """
        Oh, wrong number? You seem kind, let's be friends anyway
        | If it isn't you, it must be fate, tell me about yourself
        | My assistant saved the wrong contact, but where do you live? I'm in the gold trade
        | Sorry, stranger. I'm a {job} with my own firm, do you invest?
        | Forgive me, I don't know you, but you sound rich in spirit. Write to me
        | Never mind who I am, send me a picture of you
        | You don't remember me? Guess, and reply for a photo
        | Well, since we're talking, I can show you how I earn on the side
        | No? How funny. Are you a nice person, stranger? I'm {name}
        | I must have typed it wrong, but a new friend is never an accident
        | Oh dear, I'm so sorry! You answered so politely, may I ask what you do?
        | My driver was to fetch {name}, but never mind, what's the weather with you?
        | I'm only in {town} for work till {weekday}, shall we have {drink} and get acquainted?
        | Apologies. Since I have you, may I know your age?
    """,
    "hard_spam_savings": "{stem_savings} {savings_spam}",
    "savings_spam": """
        I know a man who turns {amount} into double in a week, he has {few} places left
        | Put in {amount} now and take out twice that in {month}, no risk
        | My teacher {name} gives tips in a chat group, I can let you in
        | Nobody loses with this, just send the first {amount}
        | Let me trade for you, I only keep ten percent
        | He asks {amount} to open the account, then the coins work while you sleep
        | Join before {weekday} and your first trade is a gift
        | I can show you the same secret, just answer YES
        | It is safe, even my {kin_plain} put the pension in
        | {name} is shy about it but takes in a few more people {when}
        | It grew while I was {doing}, and yours would too
        | You'd laugh if you knew how little I put in, shall I tell you more?
        | Banks don't want you to know this, my broker does it for friends
        | Start small, see it grow, then bring {kin} in as well
        | I was as doubtful as you, now I'm thinking of buying on {street}
    """,
    "kin_plain": "mother | grandmother | father | uncle | neighbour | priest | aunt",
    "hard_spam_plain": """
        send this to {few} people you love and good luck comes {weekday}, break the chain and you'll
            be {feeling}
        | your computer is sending us errors, please stay at home, {name} from support will ring and
            ask for control of it
        | we were told you had an accident that wasn't your fault, answer yes and we get you
            {amount}
        | I'm {name}'s {job} abroad, they have {ill} and can't speak, please send {amount} for the
            hospital
        | a relative you never met left you {amount} in {town}, I'm the lawyer, keep it between us
        | I have copied everything on your computer, pay {amount} in coins by {weekday} or I show it
            to all
        | tax office: you paid {amount} too much in {month}, answer with your card and we'll send it
            back
        | the orphans of {town} need {food} {when}, be kind and send {amount} in gift cards to me
        | your tv licence could not be renewed, tell us your card number by {weekday} or you will be
            fined {amount}
        | you were picked as a secret shopper, buy {few} gift cards at {firm}, send us the codes and
            keep {amount}
        | my boss {name} is in a meeting and needs {few} gift cards for clients, can you buy them
            and text me the codes?
        | we saw you at {place}, {name}. Reply to find out who likes you, it only costs a little
    """,
}

# Slots whose alternatives open one message each; `corpus` decides how often each group speaks.
EVERYDAY_TOPICS = (
    "ham_plans",
    "ham_where",
    "ham_directions",
    "ham_family",
    "ham_chores",
    "ham_work",
    "ham_study",
    "ham_food",
    "ham_feelings",
    "ham_love",
    "ham_health",
    "ham_weather",
    "ham_news",
    "ham_shopping",
    "ham_money",
    "ham_tech",
    "ham_travel",
    "ham_fun",
    "ham_party",
    "ham_home",
    "ham_chat",
    "ham_thought",
    "ham_joke",
    "ham_apology",
)

HARD_HAM_TOPICS = (
    "hard_ham_newphone",
    "hard_ham_email",
    "hard_ham_account",
    "hard_ham_parcel",
    "hard_ham_firm",
    "hard_ham_prize",
    "hard_ham_cash",
    "hard_ham_job",
    "hard_ham_lonely",
    "hard_ham_wrong",
    "hard_ham_savings",
    "hard_ham_plain",
)

SPAM_TRADES = (
    "spam_prize",
    "spam_twins",
    "spam_ringtone",
    "spam_dating",
    "spam_loan",
    "spam_account",
    "spam_parcel",
    "spam_subscription",
    "spam_upgrade",
    "spam_chain",
)

HARD_SPAM_TOPICS = (
    "hard_spam_newphone",
    "hard_spam_email",
    "hard_spam_account",
    "hard_spam_parcel",
    "hard_spam_firm",
    "hard_spam_prize",
    "hard_spam_cash",
    "hard_spam_job",
    "hard_spam_lonely",
    "hard_spam_wrong",
    "hard_spam_savings",
    "hard_spam_plain",
)

# How texters spell: each word may turn into one of its alternatives, which are noted as above.
SLANG = {
    "you": "u | u | u | ya",
    "your": "ur | ur | yr",
    "you're": "ur | your | u r",
    "are": "r",
    "see": "c",
    "be": "b",
    "why": "y",
    "to": "2",
    "too": "2",
    "for": "4",
    "before": "b4",
    "tomorrow": "tmr | tomo | 2moro",
    "tonight": "tonite | 2nite",
    "please": "pls | plz",
    "thanks": "thx | thanx | ta",
    "because": "cos | bcos | cuz",
    "want": "wan",
    "what": "wat | wot",
    "okay": "k",
    "ok": "k | okay | oki",
    "and": "n | &amp;",
    "text": "txt",
    "message": "msg",
    "about": "abt",
    "with": "wif | wiv | w",
    "the": "da | d",
    "that": "dat",
    "this": "dis",
    "have": "hv | av",
    "don't": "dont | dun",
    "know": "noe | kno",
    "good": "gud",
    "love": "luv",
    "just": "jus | jst",
    "really": "rly | realy",
    "so": "sooo | soo",
    "yes": "yep | yea | yesss",
    "hey": "heyyy | heya",
    "later": "l8r | ltr",
    "great": "gr8",
    "late": "l8",
    "people": "ppl",
    "minutes": "mins",
    "today": "2day",
    "weekend": "wkend",
    "birthday": "bday",
    "morning": "mornin",
    "something": "smth",
    "nothing": "nothin",
    "anything": "anythin",
    "dinner": "dinna",
    "night": "nite",
    "right": "rite",
    "mate": "m8",
    "always": "alwayz",
    "sorry": "sry | soz",
    "how": "hw",
    "when": "wen",
    "where": "wer",
    "back": "bak",
    "time": "tym",
    "very": "v",
    "I'll": "ill",
    "I'm": "im | m",
    "I": "i",
    "can't": "cant",
    "was": "woz",
    "them": "dem",
    "friend": "frnd",
    "said": "sed",
    "some": "sum",
    "take": "tk",
    "only": "oni",
    "already": "alr | alredy",
    "can": "cn",
    "haha": "hahaha | hahahaha",
    "wait": "w8",
    "never": "nvr",
    "hope": "hpe",
    "feel": "feeel",
    "bored": "boreddd",
}

SENTENCE_BREAKS = (". ", ". ", ". ", "... ", ", ", "! ", " ", "  ", ".. ", ".")
ENDINGS = ("", "", "", ".", ".", ".", "...", "!", "!!", " :)", "..", " x")

# Each trap is a run of ham messages that stay neighbours in the file. In the last three runs a
# quotation mark opens in the first message and closes only in the last one, so a reader that
# honours quotes fuses the run into one row.
HAM_TRAPS = (
    ("Could you get me the big bottle of cooking oil? It was £3 on Friday",),
    ("Taxi wanted £18 for that, so we walked and sang all the way",),
    ("Mum found £5 in her winter coat and feels like a queen",),
    ("Tickets for the school play are £4 at the door, children go free",),
    ("I put £20 on the kitchen table for the window cleaner",),
    (
        (
            "My tokeniser homework printed <|endoftext|> in the middle of a line and then died, "
            "any idea why?"
        ),
    ),
    ('"Are we there yet" is all I heard for six hours, my head hurts',),
    ('"Soup of the day" turned out to be yesterday\'s soup. We laughed all the same',),
    ("Nan learnt emoji today 😂😂 she sent me nine snails and a ❤ for my exam",),
    (
        (
            "Jürgen says “über” is spelt with an ü, and that you’re naïve if you think he’ll share "
            "the crème brûlée"
        ),
    ),
    (
        (
            "Ok long one, get a cup of tea first. So u know how we were gonna leave at 7 to beat "
            "the traffic? Well, Wes lost his keys, then Hana lost Wes, n by the time we found both "
            "of them (asleep in the greenhouse, don't ask) it was 9.45 & raining. Then the satnav "
            "sent us 2 a farm. A FARM. The farmer was v sweet, gave us eggs n told us his whole "
            "life story, two wives, eleven goats, one tractor he still cries about... Hugo wanted "
            "2 buy the tractor. We said no, Hugo sulked till Whitby. Lunch woz chips in the car "
            "cos nobody would get out in the wind, n a seagull the size of a dog took Bea's "
            "sausage thru the window, i'm not even joking, she screamed so loud the coastguard "
            "looked up. Anyway!! The sun came out at 4, the sea was like glass, we all swam, even "
            "ur brother, n then we sat on the wall wrapped in one blanket n watched the boats come "
            "in. Best day in ages. Wish u'd been there. Next time ur coming n ur driving, n we r "
            "NOT letting Wes hold the keys. Call me when u get this xxx"
        ),
    ),
    (
        "\"Don't you dare start the film without me, I'm only buying popcorn",
        "Too late, the lion is already king of the hill",
        'He said "move over and went to sleep on my arm',
    ),
    (
        '"Shall I bring the ladder or is yours long enough?',
        'Bring it. Dad calls ours "the stool and he is right',
    ),
    (
        '"Roses are red, the bus is late, I have your keys',
        'So poetic. Leave them with the lady at "Bluebell, thanks',
    ),
)
